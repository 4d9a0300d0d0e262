import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.autoencoder import AutoencoderTrainer
from melgan.gans.trainer import GanTrainer
from melgan.training.precision import apply_gradients, layers_computing_in, make_adam, reset_moments, resolve_precision
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, enlarge_weights, flat, take_steps, tiny_batches, tiny_config
from tests.melgan.training import overflowing_replica


def step_of(optimizer, variable, gradient):
    return tf.function(lambda: apply_gradients(optimizer, [tf.constant(gradient)], [variable]))()


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_overflow_leaves_weights_and_moments_and_halves_the_scale(one_device, bad):
    with one_device.scope():
        variable = keras.Variable([1.0, 2.0])
        optimizer = make_adam(0.1, 0.5, 0.9, precision="float16", variables=[variable])
    scale = float(optimizer.dynamic_scale)
    run = lambda gradient: one_device.run(step_of, args=(optimizer, variable, gradient))  # noqa: E731
    applied = run([bad, 1.0])
    assert (float(applied.squared_norm), float(applied.skipped)) == (0.0, 1.0)
    np.testing.assert_array_equal(variable, [1.0, 2.0])
    assert int(optimizer.inner_optimizer.iterations) == 0
    assert float(optimizer.dynamic_scale) == scale / 2
    applied = run([3 * scale / 2, 4 * scale / 2])
    assert (float(applied.squared_norm), float(applied.skipped)) == (25.0, 0.0)
    np.testing.assert_allclose(variable, [0.9, 1.9], rtol=1e-5)  # Adam's first step is the learning rate
    assert float(optimizer.dynamic_scale) == scale / 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_without_float16_nothing_is_scaled_or_left_out(one_device, precision):
    with one_device.scope():
        variable = keras.Variable([1.0, 2.0])
        optimizer = make_adam(0.1, 0.5, 0.9, precision=precision, variables=[variable])
    assert float(optimizer.scale_loss(tf.constant(2.0))) == 2.0
    applied = one_device.run(step_of, args=(optimizer, variable, [3.0, -4.0]))
    assert (float(applied.squared_norm), float(applied.skipped)) == (25.0, 0.0)
    np.testing.assert_allclose(variable, [0.9, 2.1], rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_adam_that_begins_anew_keeps_its_rate_and_its_scale(one_device, precision):
    """Its first step is the learning rate, however large the gradients before were; float16 scales the loss."""
    with one_device.scope():
        variable = keras.Variable([1.0, 2.0])
        optimizer = make_adam(0.1, 0.5, 0.9, precision=precision, variables=[variable])
    one_device.run(step_of, args=(optimizer, variable, [1e6, -1e6]))
    scale = float(optimizer.scale_loss(tf.constant(1.0)))
    reset_moments(optimizer)
    variable.assign([1.0, 2.0])
    one_device.run(step_of, args=(optimizer, variable, [3.0 * scale, -4.0 * scale]))
    np.testing.assert_allclose(variable, [0.9, 2.1], rtol=1e-5)
    assert float(optimizer.scale_loss(tf.constant(1.0))) == scale


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_learning_rate_and_beta_2_may_change_between_steps(one_device, precision):
    """Adam by hand, without a first moment; gradients 1 and 2, scaled as the loss is."""
    with one_device.scope():
        variable = keras.Variable([0.0])
        rate, beta_2 = (tf.Variable(value, trainable=False) for value in (0.1, 0.5))
        optimizer = make_adam(rate, 0.0, beta_2, precision=precision, variables=[variable])
    scale = float(optimizer.scale_loss(tf.constant(1.0)))
    one_device.run(step_of, args=(optimizer, variable, [1.0 * scale]))
    np.testing.assert_allclose(variable, [-0.1], rtol=1e-5)
    rate.assign(0.3)
    beta_2.assign(0.9)
    one_device.run(step_of, args=(optimizer, variable, [2.0 * scale]))
    second_moment = 0.9 * (0.5 * 1**2) + 0.1 * 2**2
    step = 0.3 * 2 / np.sqrt(second_moment / (1 - 0.9**2))
    np.testing.assert_allclose(variable, [-0.1 - step], rtol=1e-5)


def test_policy_holds_only_inside(one_device):
    with layers_computing_in("bfloat16"):
        inside = keras.layers.Dense(1)
    assert (inside.compute_dtype, inside.variable_dtype) == ("bfloat16", "float32")
    assert keras.layers.Dense(1).compute_dtype == "float32"


def test_auto_is_float32_on_a_processor(one_device):
    assert resolve_precision("auto", one_device) == "float32"
    assert resolve_precision("bfloat16", one_device) == "bfloat16"


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_training_in_half_precision_is_near_that_in_single(one_device, precision):
    values = {}
    for each in ("float32", precision):
        config = tiny_config(method="cdragan", precision=each, disc_steps=1, learning_rate=1e-5)
        trainer = GanTrainer(config, CLASS_COUNTS, one_device)
        enlarge_weights(trainer.networks.generator)
        enlarge_weights(trainer.networks.discriminator)
        weights = trainer.networks.generator.trainable_variables
        before = flat(weights)
        values[each] = take_steps(trainer, tiny_batches(), count=2)
        assert all(variable.dtype == "float32" for variable in weights)
        assert not np.array_equal(flat(weights), before)
        assert ("skipped_steps" in values[each]) == (each == "float16")
    losses = values[precision]["discriminator_loss"]
    np.testing.assert_allclose(losses, values["float32"]["discriminator_loss"], atol=0.05)
    assert not np.array_equal(losses, values["float32"]["discriminator_loss"])
    assert np.isfinite(values[precision]["generator_gradient"]).all()


def test_overflow_on_one_of_two_replicas_leaves_the_step_out_on_both():
    script = Path(overflowing_replica.__file__)
    environment = os.environ | {"PYTHONPATH": str(script.parents[3])}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    overflow, after = json.loads(done.stdout)
    assert overflow["weights"] == [[1.0, 2.0]] * 2
    assert (overflow["skipped"], overflow["squared_norms"]) == ([1.0, 1.0], [0.0, 0.0])
    assert (overflow["steps_taken"], overflow["scale"]) == (0, 2.0**14)  # half of what it begins with
    np.testing.assert_allclose(after["weights"], [[0.9, 1.9]] * 2, rtol=1e-5)
    assert (after["skipped"], after["squared_norms"]) == ([0.0, 0.0], [2.0, 2.0])
    assert (after["steps_taken"], after["scale"]) == (1, 2.0**14)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_autoencoder_trains_in_half_precision_too(one_device, precision):
    config = tiny_config(precision=precision)
    gan = GanTrainer(config, CLASS_COUNTS, one_device)
    trainer = AutoencoderTrainer(gan.networks.encoder, gan.networks.generator, config, one_device)
    before = flat(gan.networks.generator.trainable_variables)
    losses = take_steps(trainer, tiny_batches(), count=4)
    assert np.isfinite(losses["autoencoder_loss"]).all()
    assert not np.array_equal(flat(gan.networks.generator.trainable_variables), before)
