from dataclasses import fields

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.training.checkpoints import Checkpoints, Model
from melgan.translation.terms import TERMS
from melgan.translation.translators import TRANSLATORS, build_generator, weights_of
from tests.melgan.gans.tiny_gan import flat, take_steps
from tests.melgan.translation.tiny_translator import (
    NUM_CLASSES,
    passes_of,
    tiny_batches,
    tiny_config,
    tiny_trainer,
)
from tests.melgan.without_tracing import without_tracing
from tfrecords_tools.foundation.errors import ConfigError

# Rows whose programs have all operations that there are; of the others, layers and terms are among theirs.
LOWERED = {"auggan": {"identity_weight": 5.0, "outside_weight": 10.0}, "fastcut": {}, "pix2pix": {}}
# What a step makes, beside the inputs as they are shown.
MADE = {
    "cyclegan": {"translated", "returned", "kept"},
    "auggan": {"translated", "returned", "shown_masks"},
    "cut": {"translated", "kept", "contrasts"},
    "fastcut": {"translated", "contrasts"},
    "pix2pix": {"translated"},
}


def networks(trainer):
    """Returns the weights of all that is trained and of the averages, by name."""
    parts = {name: part for name, part in trainer.checkpointed.items() if isinstance(part, keras.Model)}
    return {name: flat(part.variables) for name, part in parts.items()}


def weights(trainer):
    """Returns all that a trainer remembers as one vector."""
    optimizers = trainer.checkpointed["generator_optimizer"], trainer.checkpointed["discriminator_optimizer"]
    return np.concatenate([*networks(trainer).values(), *(flat(optimizer.variables) for optimizer in optimizers)])


@pytest.fixture(scope="module", params=TRANSLATORS)
def one_step(request, one_device):
    """A trainer after one step, its networks before it, and the metrics of the step."""
    trainer = tiny_trainer(one_device, request.param, ema_decay=0.9)
    before = networks(trainer)
    with without_tracing():
        metrics = take_steps(trainer, tiny_batches())
    return trainer, before, metrics


def test_networks_of_a_method(one_step):
    """Those that lead back, a projector and a second decoder are there if a term takes them."""
    directions, method = one_step[0].directions, one_step[0].config.method
    translator = TRANSLATORS[method]
    assert len(directions) == (2 if "cycle" in translator.weights else 1)
    channels = 1 + 3 + NUM_CLASSES if translator.is_paired else 3
    for each in directions:
        assert each.generator.translate.inputs[0].shape == (None, 32, 32, channels)
        assert each.generator.translate.output_shape == (None, 32, 32, 3)
        assert each.discriminator.input_shape[-1] == (channels + 3 if translator.is_paired else 3)
        assert (each.projector is not None) == ("nce" in translator.weights)
        assert ("parsing" in each.generator.whole.output) == bool(each.generator.tied) == (method == "auggan")
        kept = {id(variable) for variable in each.generator.translate.trainable_variables}
        assert kept <= {id(variable) for variable in each.generator.whole.trainable_variables}


def test_every_network_learns(one_step):
    trainer, before, _ = one_step
    after = networks(trainer)
    assert after.keys() == before.keys()
    for name in before:
        assert not np.array_equal(after[name], before[name]), name


def test_metrics_are_finite_terms_losses_and_norms(one_step):
    trainer, _, metrics = one_step
    terms = weights_of(trainer.config)
    further = {"generator_loss", "discriminator_loss", "generator_gradient", "discriminator_gradient"}
    assert metrics.keys() == terms.keys() | further
    assert all(value.shape == (1,) and np.isfinite(value).all() for value in metrics.values())
    by_hand = sum(weight * metrics[name] for name, weight in terms.items())
    np.testing.assert_allclose(metrics["generator_loss"], by_hand, rtol=1e-5)


def test_a_step_makes_what_its_terms_look_at_and_terms_are_per_example(one_step):
    trainer = one_step[0]
    for passes in passes_of(trainer):
        losses = [TERMS[term](passes) for term in weights_of(trainer.config)]
        assert all(loss.shape == (4,) and np.isfinite(loss).all() for loss in losses)
        given = {each.name for each in fields(passes)}
        assert vars(passes).keys() - given - {"shown"} == MADE[trainer.config.method]


def test_averages_begin_with_the_generators_and_follow_them(one_step):
    """After the first step by 9/10, as the average still has to warm up."""
    trainer, before, _ = one_step
    for direction, average, prefix in zip(trainer.directions, trainer.averages, ("", "backward_"), strict=False):
        trained = flat(direction.generator.translate.trainable_variables)
        moved = 0.1 * before[f"{prefix}ema_generator"] + 0.9 * trained
        np.testing.assert_allclose(flat(average.trainable_variables), moved, atol=1e-6)


def test_a_checkpoint_holds_every_variable(one_step):
    trainer = one_step[0]
    parts = [part for part in trainer.checkpointed.values() if hasattr(part, "variables")]
    held = {id(variable) for part in parts for variable in part.variables}
    models = [model for each in trainer.directions for model in (*each.generator_parts.values(), each.discriminator)]
    for model in (*models, *trainer.averages):
        assert {id(variable) for variable in model.variables} <= held
    assert trainer.checkpointed["ema_generator"] is trainer.average_generator


def test_weights_of_the_average_are_kept_and_loaded(one_step, tmp_path):
    trainer = one_step[0]
    trainer.average_generator.save_weights(tmp_path / "generator.weights.h5")
    loaded = build_generator(trainer.config, NUM_CLASSES)
    loaded.load_weights(tmp_path / "generator.weights.h5")
    np.testing.assert_array_equal(flat(loaded.variables), flat(trainer.average_generator.variables))


@pytest.mark.usefixtures("eager", "op_determinism")
def test_resumed_translator_is_bitwise_the_undisturbed_one(tmp_path, one_device):
    """Of the quickest, which has dropout; that a checkpoint holds all of the others is above."""
    undisturbed, interrupted, resumed = (tiny_trainer(one_device, "pix2pix") for _ in range(3))
    take_steps(undisturbed, tiny_batches(), count=2)
    model = Model(undisturbed.config, ("benign", "malignant"))
    take_steps(interrupted, tiny_batches(), count=1)
    Checkpoints(tmp_path, interrupted, one_device, model=model).save(1)
    assert Checkpoints(tmp_path, resumed, one_device, model=model).restore() == 1
    take_steps(resumed, tiny_batches(start_step=1), first=1)
    np.testing.assert_array_equal(weights(resumed), weights(undisturbed))


def test_same_seed_same_weights(one_device):
    first, same, other = (tiny_trainer(one_device, "pix2pix", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(weights(first), weights(same))
    assert not np.array_equal(weights(first), weights(other))


@pytest.mark.parametrize("one_step", ["pix2pix"], indirect=True)
def test_attempt_changes_every_random_number(one_step):
    trainer = one_step[0]
    first = trainer.draws(3).normal(4)
    trainer.attempt.assign(1)
    assert not np.isclose(trainer.draws(3).normal(4), first).any()
    trainer.attempt.assign(0)


@pytest.mark.parametrize("method", LOWERED)
def test_gradient_functions_are_fit_for_an_accelerator(one_device, method):
    """Static shapes and no call of a library, in the program that XLA is given; discriminators differ in channels."""
    trainer = tiny_trainer(one_device, method, **LOWERED[method])

    @tf.function(autograph=False, jit_compile=True)
    def compiled(batch, step):
        passes = trainer.passes(batch, trainer.draws(step))
        of_generators = trainer.generator_gradients(passes)
        return of_generators, trainer.discriminator_gradients(passes) if method == "pix2pix" else ()

    batch = {name: tf.constant(value) for name, value in next(tiny_batches()).items()}
    program = compiled.experimental_get_compiler_ir(batch, tf.constant(0, tf.int64))(stage="hlo")
    assert program.count(" convolution(") > 20
    assert "[<=" not in program
    assert "custom-call" not in program


def test_what_is_lowered_stands_for_all_rows():
    terms = {term for method, settings in LOWERED.items() for term in weights_of(tiny_config(method, **settings))}
    networks = {TRANSLATORS[method].build for method in LOWERED}
    for method, translator in TRANSLATORS.items():
        assert weights_of(tiny_config(method)).keys() <= terms
        assert translator.build in networks


@pytest.mark.parametrize("one_step", ["auggan", "fastcut"], indirect=True)
@pytest.mark.usefixtures("eager")
def test_half_precision_is_near_single(one_step, one_device):
    """A step that overflowed is left out, and its norm is none."""
    single = one_step[0].config
    trainer = tiny_trainer(one_device, single.method, precision="float16")
    metrics = take_steps(trainer, tiny_batches())
    assert metrics.pop("skipped_steps") in range(3)
    assert metrics.keys() == one_step[2].keys()
    for name, value in metrics.items():
        assert np.isfinite(value).all()
        if "gradient" not in name:
            np.testing.assert_allclose(value, one_step[2][name], rtol=0.02)
    assert all(variable.dtype == "float32" for variable in trainer.average_generator.variables)


@pytest.mark.usefixtures("eager")
def test_the_learning_rate_falls_from_half_of_the_steps_on(one_device):
    """Adam's first step moves weights by the learning rate; at the last but one of 100 steps by a 25th of it."""
    trainer = tiny_trainer(one_device, "pix2pix", total_steps=100)
    discriminator = trainer.directions[0].discriminator
    before = flat(discriminator.trainable_variables)
    take_steps(trainer, tiny_batches(), first=98)
    moved = np.abs(flat(discriminator.trainable_variables) - before)
    np.testing.assert_allclose(np.median(moved), 2e-4 / 25, rtol=0.02)


def test_what_cannot_be_is_refused_before_anything_is_built(one_device):
    with pytest.raises(ConfigError, match="^cycle_weight"):
        tiny_trainer(one_device, "cut", cycle_weight=10.0)
    with pytest.raises(ConfigError, match="^total_steps.* 0"):
        tiny_trainer(one_device, total_steps=0)


@pytest.mark.parametrize("one_step", ["auggan"], indirect=True)
def test_passes_of_both_directions_draw_apart(one_step):
    forward, backward = passes_of(one_step[0])
    assert not np.isclose(forward.draws.normal(4), backward.draws.normal(4)).any()
    np.testing.assert_array_equal(forward.inputs, backward.real_images)
    assert set(np.unique(forward.masks)) == {0, 1}
