import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.layers.equalised import HE_GAIN, EqualisedConv2D, EqualisedDense, EqualisedEmbedding
from melgan.training.precision import layers_computing_in


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("channels", [8, 800])
def test_variance_stays_one_however_many_inputs_there_are(channels):
    outputs = EqualisedDense(2000, gain=1.0)(normal(100, channels))
    assert np.var(outputs) == pytest.approx(1.0, abs=0.1)
    outputs = EqualisedConv2D(500, 3, gain=1.0)(normal(4, 6, 6, channels))[:, 1:-1, 1:-1]  # whole neighbourhoods
    assert np.var(outputs) == pytest.approx(1.0, abs=0.1)


def test_gain_makes_up_for_a_rectifier():
    outputs = tf.nn.relu(EqualisedDense(2000)(normal(500, 200)))
    assert np.mean(np.square(outputs)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("layer", "fan_in"), [(EqualisedDense(5), 6), (EqualisedConv2D(5, 3), 9 * 6)])
def test_kernel_begins_as_standard_normal_and_is_scaled_at_run_time(layer, fan_in):
    layer.build((2, 4, 4, 6))
    np.testing.assert_array_equal(layer.bias, np.zeros(5))
    np.testing.assert_allclose(layer.effective_kernel(), np.asarray(layer.kernel) * np.sqrt(2 / fan_in), rtol=1e-6)
    assert np.std(layer.kernel) == pytest.approx(1.0, abs=0.3)


def test_gradient_has_the_scale_of_the_kernel():
    """For x (c W) + b and the sum of squares, d/dW is 2 c x^T y, and d/db twice the sum of y."""
    layer, inputs = EqualisedDense(3, gain=1.0), normal(7, 4)
    layer.build((7, 4))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(inputs) ** 2)
    kernel, bias = tape.gradient(loss, [layer.kernel.value, layer.bias.value])
    outputs = inputs @ np.asarray(layer.kernel) / 2
    np.testing.assert_allclose(kernel, 2 * inputs.T @ outputs / 2, rtol=1e-4)
    np.testing.assert_allclose(bias, 2 * outputs.sum(axis=0), rtol=1e-4)


def test_convolution_is_that_of_keras_with_the_effective_kernel():
    layer, keras_layer, inputs = EqualisedConv2D(5, 3), keras.layers.Conv2D(5, 3, padding="same"), normal(2, 6, 4, 3)
    layer.build(inputs.shape)
    keras_layer.build(inputs.shape)
    layer.bias.assign(normal(5))
    keras_layer.set_weights([np.asarray(layer.kernel) * HE_GAIN / np.sqrt(27), normal(5)])
    np.testing.assert_allclose(layer(inputs), keras_layer(inputs), rtol=1e-4, atol=1e-5)


def test_row_of_a_class_has_length_one_in_the_mean():
    layer = EqualisedEmbedding(50, 400)
    rows = layer(tf.constant([3, 3, *range(50)]))
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_allclose(rows[0], np.asarray(layer.kernel)[3] / 20, rtol=1e-6)
    assert np.mean(np.linalg.norm(rows, axis=1)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_kernels_stay_in_single_precision(precision):
    with layers_computing_in(precision):
        layer = EqualisedConv2D(5, 3)
    outputs = layer(tf.constant(normal(2, 6, 4, 3), precision))
    assert outputs.dtype == precision
    assert layer.kernel.dtype == "float32"
