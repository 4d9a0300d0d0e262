import contextlib
from dataclasses import replace
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.architectures.networks import IMAGE_SIZES, NetworkShape
from melgan.gans.augmentations import AUGMENTATIONS
from melgan.gans.combinations import require_possible
from melgan.gans.methods import METHODS
from melgan.gans.objectives import OBJECTIVES
from melgan.gans.penalties import PENALTIES
from melgan.gans.trainer import GanTrainer
from melgan.images import to_signed_float
from melgan.training.randomness import Draws
from tests.melgan.gans.tiny_gan import (
    CLASS_COUNTS,
    discriminator_gradients,
    enlarge_weights,
    flat,
    generator_gradients,
    program_for_accelerator,
    shown_to,
    take_steps,
    tiny_batch,
    tiny_batches,
    tiny_config,
)
from tests.melgan.without_tracing import without_tracing
from tfrecords_tools.foundation.errors import ConfigError


def weights(trainer):
    """Returns the trainable weights of every network, and what else the generators hold."""
    return {
        "generator": flat(trainer.networks.generator.trainable_variables),
        "discriminator": flat(trainer.networks.discriminator.trainable_variables),
        "average": flat(trainer.average.generator.trainable_variables),
        "statistics": flat(trainer.networks.generator.non_trainable_variables),
        "average_statistics": flat(trainer.average.generator.non_trainable_variables),
    }


def gradients(trainer, step=0):
    """Returns the gradients of the first discriminator step and of the generator, and all terms by name."""
    images, labels = shown_to(trainer, tiny_batch(), step)
    draws = trainer.draws(step)
    discriminator, terms = discriminator_gradients(trainer, images, labels, draws.fold(1))
    generator, generator_terms = generator_gradients(trainer, images, labels, draws.fold(0))
    return discriminator, generator, {name: float(value) for name, value in (terms | generator_terms).items()}


def of_whole(trainer, gradients):
    """Returns gradients by the weights of the last level as those by the whole discriminator, which may hold more."""
    known = dict(zip(map(id, trainer.step_at().discriminator.trainable_variables), gradients, strict=True))
    variables = trainer.networks.discriminator.trainable_variables
    return flat(known.get(id(variable), tf.zeros(variable.shape)) for variable in variables)


@pytest.fixture(scope="module", params=METHODS)
def one_step(request, one_device):
    """A trainer after one step, later than all schedules, its weights before and after, gradients and losses."""
    trainer = GanTrainer(tiny_config(method=request.param, disc_steps=1, ema_decay=0.9), CLASS_COUNTS, one_device)
    trainer.start_average()
    trainer.schedules.set_for(4000)
    gradient = of_whole(trainer, gradients(trainer, step=4000)[0])
    before = weights(trainer)
    with without_tracing():
        losses = take_steps(trainer, tiny_batches(), first=4000, count=1)
    return trainer, before, weights(trainer), gradient, losses


def test_average_moves_by_a_tenth(one_step):
    _, before, after, _, _ = one_step
    np.testing.assert_array_equal(before["average"], before["generator"])
    np.testing.assert_allclose(after["average"], 0.9 * before["generator"] + 0.1 * after["generator"], atol=1e-7)
    assert not np.array_equal(after["average"], before["average"])


def test_average_takes_over_the_moving_statistics(one_step):
    """Where there are none, what else is not trained stays."""
    trainer, before, after, _, _ = one_step
    np.testing.assert_array_equal(after["average_statistics"], after["statistics"])
    has_moments = any("moving" in variable.path for variable in trainer.networks.generator.non_trainable_variables)
    assert np.array_equal(after["statistics"], before["statistics"]) != has_moments


def test_first_step_of_adam_moves_by_the_learning_rate_against_the_gradient(one_step):
    trainer, before, after, gradient, _ = one_step
    moved = after["discriminator"] - before["discriminator"]
    clear = np.abs(gradient) > 1e-4  # others are decided by rounding
    assert clear.sum() > 100
    config = trainer.config
    beta_2 = config.final_beta_2 or config.beta_2
    root = np.sqrt(1 - beta_2) * gradient[clear]  # of the second moment, but for the sign
    rate = config.final_learning_rate or config.discriminator_learning_rate or config.learning_rate
    by_hand = -rate * root / (np.abs(root) + 1e-7)
    np.testing.assert_allclose(moved[clear], by_hand, rtol=5e-3)


def test_measured_gradient_is_the_norm_of_what_was_applied(one_step):
    _, _, _, gradient, losses = one_step
    np.testing.assert_allclose(losses["discriminator_gradient"], [np.linalg.norm(gradient)], rtol=1e-4)


def test_every_network_learns_and_every_loss_is_finite(one_step):
    trainer, before, after, _, losses = one_step
    further = (
        {"discriminator_unconditional", "generator_unconditional"} if trainer.config.unconditional_weight else set()
    )
    assert losses.keys() == further | {
        *("discriminator_loss", "penalty", "real_sign", "discriminator_gradient"),
        *("generator_loss", "generator_gradient"),
    }
    assert all(value.shape == (1,) and np.isfinite(value).all() for value in losses.values())
    assert not np.array_equal(after["generator"], before["generator"])
    assert not np.array_equal(after["discriminator"], before["discriminator"])


def possible_combinations():
    """Every architecture with every objective, with every penalty, and with every augmentation, where they go together.

    What of the rest does not vary is that of the first method with this architecture, and beside an objective no
    penalty: the two are added, which the objectives of the first architecture show.
    """
    for architecture in ARCHITECTURES:
        method = next(name for name, preset in METHODS.items() if preset["architecture"] == architecture)
        settings = {"method": method, "autoencoder_epochs": 0}
        choices = [{"objective": objective, "penalty": "none"} for objective in OBJECTIVES]
        if architecture == next(iter(ARCHITECTURES)):
            choices += [{"objective": objective} for objective in OBJECTIVES]
        choices += [{"penalty": penalty} for penalty in PENALTIES]
        choices += [{"augmentation": augmentation} for augmentation in AUGMENTATIONS]
        for config in dict.fromkeys(tiny_config(**settings, **choice) for choice in choices):
            with contextlib.suppress(ConfigError):
                config = replace(config, wrong_labels=OBJECTIVES[config.objective].takes_wrong_labels)
                require_possible(config, CLASS_COUNTS)
                names = (architecture, config.objective, config.penalty, config.augmentation)
                yield pytest.param(config, id="-".join(names))


@pytest.mark.parametrize("config", possible_combinations())
def test_every_combination_has_finite_gradients_of_all_weights(one_device, config):
    trainer = GanTrainer(config, CLASS_COUNTS, one_device)
    discriminator, generator, losses = gradients(trainer)
    assert all(np.isfinite(loss) for loss in losses.values())
    for gradient in discriminator + generator:
        assert np.isfinite(gradient).all()
    step = trainer.step_at()
    assert len(discriminator) == len(step.discriminator.trainable_variables) > 0
    assert len(generator) == len(step.generator.trainable_variables) > 0


@pytest.mark.parametrize(("wrong_labels", "terms"), [(False, 2), (True, 3)])
def test_undecided_discriminator_loses_ln_2_for_every_term(one_device, wrong_labels, terms):
    trainer = GanTrainer(tiny_config(wrong_labels=wrong_labels), CLASS_COUNTS, one_device)
    logit = trainer.networks.discriminator.head.get_layer("logit")
    logit.set_weights([0 * weight for weight in logit.get_weights()])
    losses = gradients(trainer)[2]
    assert losses["discriminator_loss"] == pytest.approx(terms * np.log(2), rel=1e-5)
    assert losses["generator_loss"] == pytest.approx(np.log(2), rel=1e-5)
    assert losses["penalty"] == pytest.approx(1.0, abs=1e-5)  # no gradient at all


def test_losses_by_hand(one_device):
    """Fakes are all grey and of class 0, as class 1 has no images; of two classes the wrong label is the other one."""
    trainer = GanTrainer(tiny_config(), (8, 0), one_device)
    last = trainer.networks.generator.get_layer("up_32")
    last.set_weights([0 * weight for weight in last.get_weights()])
    enlarge_weights(trainer.networks.discriminator)
    images, labels = to_signed_float(tiny_batch()["image"]), tf.constant(tiny_batch()["label"])
    discriminator = trainer.networks.discriminator
    real, wrong_label = discriminator(images, labels), discriminator(images, 1 - labels)
    fake = discriminator(tf.zeros_like(images), tf.zeros_like(labels))
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


def with_augmentation(method):
    """Returns the method with the augmentation that it can have."""
    return method, "none" if ARCHITECTURES[METHODS[method]["architecture"]].takes_boxes else "diffaugment"


@pytest.mark.parametrize(("method", "augmentation"), [*map(with_augmentation, METHODS), ("gan", "ada")])
def test_gradient_functions_are_fit_for_an_accelerator(one_device, method, augmentation):
    """Static shapes and no call of a library, in the program that XLA is given at the smallest size: see below."""
    trainer = GanTrainer(tiny_config(method=method, width=0.02, augmentation=augmentation), CLASS_COUNTS, one_device)
    program = program_for_accelerator(trainer)
    assert program.count(" convolution(") > 20
    assert "[<=" not in program
    assert "custom-call" not in program


@cache
def layers_without_weights(architecture, image_size):
    """Returns all layers of networks, built without their weights, which takes a moment."""
    with keras.StatelessScope(initialize_variables=False):
        shape = NetworkShape(image_size=image_size, num_classes=2, latent_dim=8, width=0.02)
        networks = ARCHITECTURES[architecture].build(shape)
    parts = networks.generator, networks.discriminator.trunk, networks.discriminator.head
    return [layer for part in parts for layer in part.layers]


@pytest.mark.parametrize("image_size", IMAGE_SIZES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_larger_networks_have_no_other_layers_and_nothing_but_the_batch_is_of_unknown_size(architecture, image_size):
    """So that what an accelerator is given of the smallest stands for all."""
    layers = layers_without_weights(architecture, image_size)
    kinds, of_smallest = (
        {type(layer) for layer in each} for each in (layers, layers_without_weights(architecture, IMAGE_SIZES[0]))
    )
    assert kinds == of_smallest
    for layer in layers:
        for tensor in tf.nest.flatten(layer.output):
            assert None not in tensor.shape[1:], layer.name


class FixedDraws(Draws):
    """Numbers of numpy, because XLA makes others of the same seed; the seed is a tuple."""

    def fold(self, use):
        return replace(self, seed=(*self.seed, int(use)))

    def uniform(self, *shape):
        return tf.constant(np.random.default_rng(self.seed).uniform(size=(self.batch_size, *shape)), tf.float32)

    def normal(self, *shape):
        return tf.constant(np.random.default_rng(self.seed).normal(size=(self.batch_size, *shape)), tf.float32)


@pytest.mark.parametrize("kind", ["discriminator", "generator"])
def test_compiled_gradients_equal_plain_ones(one_device, kind):
    trainer = GanTrainer(tiny_config(), CLASS_COUNTS, one_device)
    drawn = trainer.step_at().generate(tiny_batch()["label"], FixedDraws((1,), 0, 4, 1))
    fakes = [tf.constant(tensor) for tensor in drawn[:2]]
    enlarge_weights(trainer.networks.generator)
    enlarge_weights(trainer.networks.discriminator)

    def gradients(images, labels):
        draws = FixedDraws((0,), 0, 4, 1)
        if kind == "discriminator":
            return discriminator_gradients(trainer, images, labels, draws, fakes=fakes)[0]
        return generator_gradients(trainer, images, labels, draws)[0]

    inputs = shown_to(trainer, tiny_batch())
    plain, compiled = flat(gradients(*inputs)), flat(tf.function(gradients, jit_compile=True)(*inputs))
    np.testing.assert_allclose(compiled, plain, rtol=0, atol=1e-5 * np.abs(plain).max())


def test_xla_setting_compiles_training(one_device):
    trainer = GanTrainer(tiny_config(method="gan", xla="on"), CLASS_COUNTS, one_device)
    before = weights(trainer)
    losses = take_steps(trainer, tiny_batches(), count=1)
    assert all(np.isfinite(value).all() for value in losses.values())
    assert not np.array_equal(weights(trainer)["generator"], before["generator"])


@pytest.mark.usefixtures("eager")
def test_lazy_penalty_is_due_at_every_third_discriminator_step_and_counts_three_times(one_device):
    """A critic without gradient, which its zero logit layer keeps for as long as the learning rate is tiny."""
    config = tiny_config(penalty_interval=3, disc_steps=1, learning_rate=1e-12)
    trainer = GanTrainer(config, CLASS_COUNTS, one_device)
    logit = trainer.networks.discriminator.head.get_layer("logit")
    logit.set_weights([0 * weight for weight in logit.get_weights()])
    values = take_steps(trainer, tiny_batches(), first=4, count=5)
    np.testing.assert_allclose(values["penalty"], [0, 0, 3, 0, 0], atol=1e-4)  # steps 4 to 8; 6 is due


@pytest.mark.usefixtures("eager")
def test_fresh_batches_gives_every_discriminator_step_images_of_its_own(one_device):
    for fresh, taken in ((False, 1), (True, 3)):
        trainer = GanTrainer(tiny_config(method="gan", disc_steps=3, fresh_batches=fresh), CLASS_COUNTS, one_device)
        batches = tiny_batches()
        take_steps(trainer, batches, count=1)
        assert trainer.batches_per_step == taken
        np.testing.assert_array_equal(next(batches)["image"], tiny_batch(seed=taken)["image"])


def test_attempt_changes_every_random_number(one_device):
    trainer = GanTrainer(tiny_config(), CLASS_COUNTS, one_device)
    first = trainer.draws(3).normal(4)
    trainer.attempt.assign(1)
    assert not np.isclose(trainer.draws(3).normal(4), first).any()


@pytest.mark.usefixtures("eager")
def test_grey_images_and_a_class_of_one_image_train(one_device):
    """Images without any contrast, all of a single class with one image, more often than it has images."""
    trainer = GanTrainer(tiny_config(method="cdragan", augmentation="diffaugment"), (1, 30), one_device)
    grey = {"image": np.full((4, 32, 32, 3), 127, np.uint8), "label": np.zeros(4, np.int32)}
    batches = iter(tf.data.Dataset.from_tensors(grey).repeat())
    values = take_steps(trainer, batches, count=2)
    assert all(np.isfinite(value).all() for value in values.values())


def test_impossible_settings_are_refused_before_anything_is_built(one_device):
    with pytest.raises(ConfigError, match="wrong_labels.* 1$"):
        GanTrainer(tiny_config(wrong_labels=True), [8], one_device)
    assert GanTrainer(tiny_config(wrong_labels=False), [8], one_device).step_at().num_classes == 1
