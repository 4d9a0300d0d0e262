from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from tiny_gan import CLASS_COUNTS, enlarge_weights, flat, tiny_batch, tiny_batches, tiny_config

from melgan.architectures import ARCHITECTURES
from melgan.errors import ConfigError
from melgan.gan_trainer import GanTrainer
from melgan.images import to_signed_float
from melgan.methods import METHODS
from melgan.objectives import OBJECTIVES
from melgan.penalties import PENALTIES
from melgan.randomness import Draws


def weights(trainer):
    """Returns the trainable weights of every network, and what else the generators hold."""
    return {
        "generator": flat(trainer.generator.trainable_variables),
        "discriminator": flat(trainer.discriminator.trainable_variables),
        "average": flat(trainer.ema_generator.trainable_variables),
        "statistics": flat(trainer.generator.non_trainable_variables),
        "average_statistics": flat(trainer.ema_generator.non_trainable_variables),
    }


def gradients(trainer, step=0):
    """Returns the gradients of the first discriminator step and of the generator, and all losses."""
    batch, draws = tiny_batch(), trainer.draws(step)
    images, labels = to_signed_float(batch["image"]), tf.constant(batch["label"])
    discriminator, losses = trainer.discriminator_gradients(images, labels, draws.fold(1))
    generator, generator_losses = trainer.generator_gradients(images, labels, draws.fold(0))
    return discriminator, generator, {name: float(loss) for name, loss in (losses | generator_losses).items()}


@pytest.fixture(scope="module", params=METHODS)
def one_step(request, one_device):
    """A trainer after one step, late enough for the full decay, its weights before and after, gradients and losses."""
    trainer = GanTrainer(tiny_config(method=request.param, ema_decay=0.9), CLASS_COUNTS, one_device)
    trainer.start_average()
    discriminator_gradients = flat(gradients(trainer, step=100)[0])
    before = weights(trainer)
    losses = trainer.train_steps(tiny_batches(), tf.constant(100, tf.int64), tf.constant(1, tf.int64))
    return trainer, before, weights(trainer), discriminator_gradients, losses


def test_average_moves_by_a_tenth(one_step):
    _, before, after, _, _ = one_step
    np.testing.assert_array_equal(before["average"], before["generator"])
    np.testing.assert_allclose(after["average"], 0.9 * before["generator"] + 0.1 * after["generator"], atol=1e-7)
    assert not np.array_equal(after["average"], before["average"])


def test_average_takes_over_the_moving_statistics(one_step):
    _, before, after, _, _ = one_step
    np.testing.assert_array_equal(after["average_statistics"], after["statistics"])
    assert not np.array_equal(after["statistics"], before["statistics"])


def test_first_step_of_adam_moves_by_the_learning_rate_against_the_gradient(one_step):
    trainer, before, after, gradient, _ = one_step
    moved = after["discriminator"] - before["discriminator"]
    clear = np.abs(gradient) > 1e-4  # where Adam's epsilon of 1e-7 does not matter
    assert clear.sum() > 100
    by_hand = -trainer.config.learning_rate * np.sign(gradient[clear])
    np.testing.assert_allclose(moved[clear], by_hand, rtol=5e-3)


def test_every_network_learns_and_every_loss_is_finite(one_step):
    _, before, after, _, losses = one_step
    assert all(np.isfinite(loss) for loss in losses.values())
    assert not np.array_equal(after["generator"], before["generator"])
    assert not np.array_equal(after["discriminator"], before["discriminator"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_combination_has_finite_gradients_of_all_weights(one_device, architecture, objective, penalty):
    config = tiny_config(architecture=architecture, objective=objective, penalty=penalty)
    trainer = GanTrainer(config, CLASS_COUNTS, one_device)
    discriminator, generator, losses = gradients(trainer)
    assert all(np.isfinite(loss) for loss in losses.values())
    for gradient in discriminator + generator:
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()
    assert len(discriminator) == len(trainer.discriminator.trainable_variables)
    assert len(generator) == len(trainer.generator.trainable_variables)


@pytest.mark.parametrize(("wrong_labels", "terms"), [(False, 2), (True, 3)])
def test_undecided_discriminator_loses_ln_2_for_every_term(one_device, wrong_labels, terms):
    trainer = GanTrainer(tiny_config(wrong_labels=wrong_labels), CLASS_COUNTS, one_device)
    logit = trainer.discriminator.head.get_layer("logit")
    logit.set_weights([0 * weight for weight in logit.get_weights()])
    losses = gradients(trainer)[2]
    assert losses["discriminator_loss"] == pytest.approx(terms * np.log(2), rel=1e-5)
    assert losses["generator_loss"] == pytest.approx(np.log(2), rel=1e-5)
    assert losses["penalty"] == pytest.approx(1.0, abs=1e-5)  # no gradient at all


def test_losses_by_hand(one_device):
    """Fakes are all grey and of class 0, as class 1 has no images; of two classes the wrong label is the other one."""
    trainer = GanTrainer(tiny_config(), (8, 0), one_device)
    last = trainer.generator.get_layer("up_32")
    last.set_weights([0 * weight for weight in last.get_weights()])
    enlarge_weights(trainer.discriminator)
    images, labels = to_signed_float(tiny_batch()["image"]), tf.constant(tiny_batch()["label"])
    real, wrong_label = trainer.discriminator(images, labels), trainer.discriminator(images, 1 - labels)
    fake = trainer.discriminator(tf.zeros_like(images), tf.zeros_like(labels))
    losses = gradients(trainer)[2]
    by_hand = np.mean(np.logaddexp(0, -real) + np.logaddexp(0, fake) + np.logaddexp(0, wrong_label))
    assert losses["discriminator_loss"] == pytest.approx(by_hand, rel=1e-4)
    assert losses["generator_loss"] == pytest.approx(np.mean(np.logaddexp(0, -fake)), rel=1e-4)


def test_penalty_counts_by_its_weight(one_device):
    one, three, none = (
        flat(gradients(GanTrainer(tiny_config(penalty_weight=weight), CLASS_COUNTS, one_device))[0])
        for weight in (1.0, 3.0, 0.0)
    )
    np.testing.assert_allclose(three - none, 3 * (one - none), rtol=1e-3, atol=1e-6)
    assert np.abs(one - none).max() > 1e-3


def test_same_seed_same_weights(one_device):
    first, same, other = (GanTrainer(tiny_config(seed=seed), CLASS_COUNTS, one_device) for seed in (1, 1, 2))
    np.testing.assert_array_equal(weights(first)["generator"], weights(same)["generator"])
    assert not np.array_equal(weights(first)["generator"], weights(other)["generator"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["discriminator", "generator"])
@pytest.mark.parametrize("image_size", [32, 64])
def test_compiled_gradients_are_fit_for_an_accelerator(one_device, method, kind, image_size):
    trainer = GanTrainer(tiny_config(method=method, image_size=image_size), CLASS_COUNTS, one_device)
    batch = tiny_batch(image_size=image_size)

    @tf.function(jit_compile=True)
    def compiled(images, labels, seed):
        return getattr(trainer, f"{kind}_gradients")(images, labels, Draws(seed, 0, len(labels), 1))

    inputs = to_signed_float(batch["image"]), tf.constant(batch["label"]), tf.constant([0, 1])
    program = compiled.experimental_get_compiler_ir(*inputs)(stage="hlo")
    assert "convolution" in program
    assert "[<=" not in program
    assert "custom-call" not in program
    assert compiled.experimental_get_tracing_count() == 1


class FixedDraws(Draws):
    """Numbers of numpy, because XLA makes others of the same seed; the seed is a tuple."""

    def fold(self, data):
        return replace(self, seed=(*self.seed, data))

    def uniform(self, *shape):
        return tf.constant(np.random.default_rng(self.seed).uniform(size=(self.batch_size, *shape)), tf.float32)

    def normal(self, *shape):
        return tf.constant(np.random.default_rng(self.seed).normal(size=(self.batch_size, *shape)), tf.float32)


@pytest.mark.parametrize("kind", ["discriminator", "generator"])
def test_compiled_gradients_equal_plain_ones(one_device, kind):
    trainer = GanTrainer(tiny_config(), CLASS_COUNTS, one_device)
    enlarge_weights(trainer.generator)
    enlarge_weights(trainer.discriminator)
    batch = tiny_batch()

    def gradients(images, labels):
        return getattr(trainer, f"{kind}_gradients")(images, labels, FixedDraws((0,), 0, 4, 1))[0]

    inputs = to_signed_float(batch["image"]), tf.constant(batch["label"])
    plain, compiled = flat(gradients(*inputs)), flat(tf.function(gradients, jit_compile=True)(*inputs))
    np.testing.assert_allclose(compiled, plain, rtol=0, atol=1e-5 * np.abs(plain).max())


def test_xla_setting_compiles_training(one_device):
    trainer = GanTrainer(tiny_config(xla="on"), CLASS_COUNTS, one_device)
    before = weights(trainer)
    losses = trainer.train_steps(tiny_batches(), tf.constant(0, tf.int64), tf.constant(1, tf.int64))
    assert all(np.isfinite(loss) for loss in losses.values())
    assert not np.array_equal(weights(trainer)["generator"], before["generator"])


@pytest.mark.parametrize("field", ["objective", "penalty", "label_sampling", "architecture"])
def test_unknown_names_are_refused(one_device, field):
    with pytest.raises(ConfigError, match=f"^{field} is 'nonsense'; known are "):
        GanTrainer(tiny_config(**{field: "nonsense"}), CLASS_COUNTS, one_device)


def test_wrong_labels_need_two_classes(one_device):
    with pytest.raises(ConfigError, match="^wrong_labels needs at least 2 classes"):
        GanTrainer(tiny_config(wrong_labels=True), [8], one_device)
    assert GanTrainer(tiny_config(wrong_labels=False), [8], one_device).num_classes == 1
