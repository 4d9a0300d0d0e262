import numpy as np
import pytest
import tensorflow as tf

from melgan.single_image.trainer import SinganTrainer
from melgan.training.checkpoints import Checkpoints
from melgan.training.loop import LoopConfig, run_loop
from melgan.training.randomness import Draws
from tests.melgan.gans.tiny_gan import enlarge_weights, flat
from tests.melgan.single_image.tiny_singan import (
    FIVE_SCALES,
    SIZES,
    TWO_SCALES,
    no_batches,
    require_equal,
    state,
    take_steps,
    tiny_config,
    tiny_image,
)
from tests.melgan.training.test_loop import Diary
from tfrecords_tools.foundation.errors import DataError

STEPS = 2 * len(SIZES)


@pytest.fixture(scope="module")
def trainer(one_device):
    """A trainer that the tests share; each begins anew."""
    return SinganTrainer(tiny_config(), one_device)


@pytest.fixture
def begun(trainer, eager):
    trainer.begin(tiny_image())
    return trainer


class Remembering(Diary):
    """Callbacks that remember the state of a trainer at every checkpoint."""

    def __init__(self, trainer):
        super().__init__(no_batches)
        self._trainer, self.states = trainer, {}

    def on_checkpoint(self, step):
        self.states[step] = state(self._trainer)


@pytest.mark.slow
def test_resumed_training_is_bitwise_the_undisturbed_one(tmp_path, trainer, one_device, eager, op_determinism):
    """From every step: 2 and 4 begin a scale, the others lie inside of one."""
    trainer.begin(tiny_image())
    checkpoints, undisturbed = Checkpoints(tmp_path, trainer, one_device, keep=100), Remembering(trainer)
    config = LoopConfig(total_steps=STEPS, checkpoint_every=1, log_every=1)
    run_loop(trainer, checkpoints, config, undisturbed, start_step=0)
    resumed = SinganTrainer(tiny_config(), one_device)
    for step in range(1, STEPS):
        resumed.begin(tiny_image())
        folder = tmp_path / f"from {step}"
        folder.mkdir()
        for path in tmp_path.glob(f"ckpt-{step}.*"):
            path.rename(folder / path.name)
        assert Checkpoints(folder, resumed, one_device).restore() == step
        require_equal(state(resumed), undisturbed.states[step])
        take_steps(resumed, step, 1)
        require_equal(state(resumed), undisturbed.states[step + 1])


def test_rollback_draws_other_numbers(begun):
    first = begun.draws(3).normal(8)
    begun.attempt.assign(1)
    assert not np.isclose(begun.draws(3).normal(8), first).any()


def test_programs_change_where_scales_begin(begun):
    programs, changes = zip(*[begun.program_at(step) for step in range(STEPS)], strict=True)
    assert changes == (2, 2, 4, 4, None, None)
    assert [list(dict.fromkeys(map(id, programs))).index(id(program)) for program in programs] == [
        scale for scale in range(3) for _ in range(2)
    ]
    assert begun.total_steps == STEPS


def test_a_scale_takes_over_the_networks_below_if_they_have_as_many_filters(one_device, eager):
    trainer = SinganTrainer(tiny_config(**FIVE_SCALES), one_device)
    trainer.begin(tiny_image())
    networks = [(trainer.step_at(scale).generator, trainer.step_at(scale).discriminator) for scale in range(5)]
    of_last = [flat(network.weights) for network in networks[4]]
    for network in networks[0]:
        enlarge_weights(network)
    for scale in (1, 2, 3, 4):
        trainer.program_at(2 * scale)
    for generator, discriminator in networks[1:4]:
        np.testing.assert_array_equal(flat(generator.weights), flat(networks[0][0].weights))
        np.testing.assert_array_equal(flat(discriminator.weights), flat(networks[0][1].weights))
    for network, weights in zip(networks[4], of_last, strict=True):
        np.testing.assert_array_equal(flat(network.weights), weights)


def test_optimizers_begin_anew_at_every_scale(begun):
    optimizers = [begun.checkpointed[f"{name}_optimizer"] for name in ("generator", "discriminator")]
    take_steps(begun, 0, 2)
    assert [int(optimizer.iterations) for optimizer in optimizers] == [2, 2]
    begun.program_at(2)
    assert [int(optimizer.iterations) for optimizer in optimizers] == [0, 0]
    moments = [slot for optimizer in optimizers for slot in optimizer.variables if "momentum" in slot.path]
    assert not flat(moments).any()


def test_only_the_scale_itself_is_trained(begun):
    take_steps(begun, 0, 2)
    before = [flat(generator.weights) for generator in begun.stack.generators]
    take_steps(begun, 2, 1)
    after = [flat(generator.weights) for generator in begun.stack.generators]
    assert [np.array_equal(*pair) for pair in zip(before, after, strict=True)] == [True, False, True]


def test_strength_of_noise_is_a_tenth_of_the_error_of_the_scales_below(begun):
    take_steps(begun, 0, 2)
    begun.program_at(2)
    below = begun.stack.reconstruction_below(1)
    error = np.sqrt(np.mean(np.square(begun.step_at(1).real - below)))
    assert float(begun.stack.amplitudes[0]) == 1.0
    assert float(begun.stack.amplitudes[1]) == pytest.approx(0.1 * error, rel=1e-5)
    np.testing.assert_array_equal(begun.step_at(1).below, below)
    begun.program_at(2)  # it can be repeated
    assert float(begun.stack.amplitudes[1]) == pytest.approx(0.1 * error, rel=1e-5)


def test_learning_rate_and_steps_of_each_network_are_those_of_the_settings(one_device, eager):
    """The rate falls to a tenth after half of the two steps of every scale."""
    settings = {"decay_at": 0.5, "learning_rate": 1e-3, "disc_steps": 2, "gen_steps": 3}
    trainer = SinganTrainer(tiny_config(**TWO_SCALES, **settings), one_device)
    optimizers = [trainer.checkpointed[f"{name}_optimizer"] for name in ("discriminator", "generator")]
    rates, iterations = [], []
    for step in range(3):
        take_steps(trainer, step, 1)
        rates.append(float(optimizers[0].learning_rate))
        iterations.append([int(optimizer.iterations) for optimizer in optimizers])
    np.testing.assert_allclose(rates, [1e-3, 1e-4, 1e-3], rtol=1e-5)
    assert iterations == [[2, 3], [4, 6], [2, 3]]  # the third begins a scale


def test_metrics_are_finite_and_named(begun):
    metrics = take_steps(begun, 2, 1)
    assert set(metrics) == {
        *("discriminator_loss", "penalty", "discriminator_gradient"),
        *("generator_loss", "reconstruction_loss", "generator_gradient"),
    }
    assert all(np.isfinite(values).all() and values.shape == (1,) for values in metrics.values())


def test_weights_of_terms_count(one_device):
    """The gradients of a weight of 3 differ from those without the term by three times as much as those of 1."""
    found = []
    for weight in (0.0, 1.0, 3.0):
        config = tiny_config(**TWO_SCALES, penalty_weight=weight, reconstruction_weight=weight)
        trainer = SinganTrainer(config, one_device)
        trainer.begin(tiny_image(11))
        step, draws = trainer.step_at(0), trainer.draws(0)
        enlarge_weights(step.generator)
        enlarge_weights(step.discriminator)
        of_networks = trainer.discriminator_gradients(step, draws), trainer.generator_gradients(step, draws)
        found.append([flat(gradients) for gradients, _ in of_networks])
    for none, one, three in zip(*found, strict=True):
        np.testing.assert_allclose(three - none, 3 * (one - none), rtol=1e-3, atol=1e-5)
        assert np.abs(one - none).max() > 1e-3


class Counting(SinganTrainer):
    """Counts how often its gradients are traced, or run as Python."""

    traces = 0

    def discriminator_gradients(self, step, draws):
        self.traces += 1
        return super().discriminator_gradients(step, draws)


@pytest.mark.slow
def test_another_image_is_trained_without_new_tracing(one_device, op_determinism):
    """Traced: a scale of one image, of another, and of the first again, whose result is the same.

    The reconstruction counts so much that nothing else does, and comes near.
    """
    config = tiny_config(**TWO_SCALES, width=0.25, steps_per_scale=30, reconstruction_weight=1000.0)
    trainer, found = Counting(config, one_device), []
    for seed in (1, 2, 1):
        trainer.begin(tiny_image(11, seed=seed))
        program, _ = trainer.program_at(0)
        metrics = program(no_batches(), tf.constant(0, tf.int64), tf.constant(30, tf.int64))
        error = np.sqrt(metrics["reconstruction_loss"])
        assert error[-1] < 0.6 * error[0]
        found.append(state(trainer))
    assert trainer.traces == 1
    require_equal(found[0], found[2])
    assert not np.array_equal(found[0]["generators"][0], found[1]["generators"][0])


def test_trainer_that_begins_with_another_image_is_a_new_one(begun, one_device):
    take_steps(begun, 0, 3)
    fresh = SinganTrainer(tiny_config(), one_device)
    for trainer in (begun, fresh):
        trainer.begin(tiny_image(seed=1))
    require_equal(state(begun), state(fresh))
    for scale in range(len(SIZES)):
        np.testing.assert_array_equal(begun.step_at(scale).real, fresh.step_at(scale).real)


@pytest.mark.parametrize("image", [tiny_image(11), tiny_image(channels=4), tiny_image() / 255.0])
def test_images_of_another_form_are_refused(trainer, image):
    with pytest.raises(DataError, match=r"takes uint8 \[13, 13, 3\]"):
        trainer.begin(image)


def test_image_with_its_mask_is_trained(one_device, eager):
    trainer = SinganTrainer(tiny_config(), one_device, channels=4)
    trainer.begin(tiny_image(channels=4))
    metrics = take_steps(trainer, 0, 1)
    assert np.isfinite(metrics["reconstruction_loss"]).all()
    np.testing.assert_allclose(trainer.step_at(2).real[0], tiny_image(channels=4) / 127.5 - 1, atol=1e-6)


def test_image_of_one_colour_trains(trainer, eager):
    trainer.begin(np.full((13, 13, 3), 255, np.uint8))
    metrics = take_steps(trainer, 0, 3)
    assert all(np.isfinite(values).all() for values in metrics.values())


def test_half_precision_is_near(one_device):
    losses = {}
    for precision in ("float32", "float16", "bfloat16"):
        trainer = SinganTrainer(tiny_config(**TWO_SCALES, precision=precision), one_device)
        trainer.begin(tiny_image(11))
        step = trainer.step_at(1)
        enlarge_weights(step.generator, 0.05)
        enlarge_weights(step.discriminator, 0.05)
        own, discriminator_terms = trainer.discriminator_gradients(step, trainer.draws(0))
        other, generator_terms = trainer.generator_gradients(step, trainer.draws(0))
        assert {gradient.dtype for gradient in [*own, *other]} == {tf.float32}
        assert step.fake(trainer.draws(0)).dtype == tf.float32
        losses[precision] = [float(value) for value in (discriminator_terms | generator_terms).values()]
        np.testing.assert_allclose(losses[precision], losses["float32"], rtol=0.05, atol=0.05)
    assert len(set(map(tuple, losses.values()))) == 3


def test_float16_counts_steps_left_out(one_device, eager):
    trainer = SinganTrainer(tiny_config(**TWO_SCALES, precision="float16"), one_device)
    trainer.begin(tiny_image(11))
    assert take_steps(trainer, 0, 1)["skipped_steps"][0] == 0.0
    scale = trainer.checkpointed_by_device["generator_loss_scale"][1]
    before = float(scale)
    step = trainer.step_at(0)
    step.real.assign(tf.fill(step.real.shape, float("inf")))
    metrics = take_steps(trainer, 1, 1)
    assert metrics["skipped_steps"][0] == 2.0
    assert float(scale) == before / 2
    trainer.begin(tiny_image(11))
    assert float(scale) == before


def test_gradient_functions_are_fit_for_an_accelerator(one_device):
    """Static shapes and no call of a library, in the program that XLA is given."""
    trainer = SinganTrainer(tiny_config(**TWO_SCALES), one_device)

    @tf.function(autograph=False, jit_compile=True)
    def compiled(seed):
        step, draws = trainer.step_at(1), Draws(seed, 0, 1, 1)
        return trainer.discriminator_gradients(step, draws), trainer.generator_gradients(step, draws)

    program = compiled.experimental_get_compiler_ir(tf.constant([0, 1]))(stage="hlo")
    assert program.count(" convolution(") > 40
    assert "[<=" not in program
    assert "custom-call" not in program


@pytest.mark.slow
def test_xla_compiles_a_step_which_is_undone(one_device):
    """It would raise if it could not."""
    trainer = SinganTrainer(tiny_config(**TWO_SCALES, normalization="none", xla="on"), one_device)
    trainer.begin(tiny_image(11))
    before = state(trainer)
    trainer.program_at(0)
    require_equal(state(trainer), before)
