import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.layers.grouped_convolution import GroupedConv2D

GROUPS = 3


@pytest.fixture
def layer():
    keras.utils.set_random_seed(0)
    layer = GroupedConv2D(6, 3, padding="same", groups=GROUPS, bias_initializer="ones")
    layer.build((None, 5, 4, 12))
    return layer


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(2, 5, 4, 12)).astype(np.float32)


def by_hand(layer, images):
    """Sums over places and channels of each group, one number after another."""
    kernel, outputs = np.asarray(layer.kernel), np.ones((*images.shape[:3], 6))
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for row, column, unit in np.ndindex(*outputs.shape[1:]):
        channels = slice(4 * (unit // 2), 4 * (unit // 2) + 4)
        seen = padded[:, row : row + 3, column : column + 3, channels]
        outputs[:, row, column, unit] += np.sum(seen * kernel[..., unit], axis=(1, 2, 3))
    return outputs


def test_every_group_sees_its_own_channels(layer, images):
    assert layer.kernel.shape == (3, 3, 4, 6)
    np.testing.assert_allclose(layer(images), by_hand(layer, images), rtol=1e-4, atol=1e-5)


@pytest.fixture
def on_accelerator(monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])


def derivatives(layer, images):
    """Returns the outputs, the gradient by the images, and of its squared norm those by kernel and images."""
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as outer:
        outer.watch(images)
        with tf.GradientTape() as inner:
            inner.watch(images)
            outputs = layer(images)
            loss = tf.reduce_sum(tf.tanh(outputs))
        gradient = inner.gradient(loss, images)
        penalty = tf.reduce_sum(tf.square(gradient))
    return outputs, gradient, *outer.gradient(penalty, [layer.kernel.value, images])


def test_second_derivatives_are_those_of_an_accelerator(layer, images, request):
    """Compiled, because TensorFlow lacks those on some processors."""
    ours = derivatives(layer, images)
    request.getfixturevalue("on_accelerator")
    grouped = tf.function(derivatives, jit_compile=True)(layer, images)
    for own, other in zip(ours, grouped, strict=True):
        assert np.abs(other).max() > 1e-3
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-5 * np.abs(other).max())


def test_accelerators_get_one_convolution(layer, images, request):
    def count():
        graph = tf.function(layer.__call__).get_concrete_function(tf.constant(images)).graph
        return sum(operation.type == "Conv2D" for operation in graph.get_operations())

    assert count() == GROUPS
    request.getfixturevalue("on_accelerator")
    assert count() == 1


def test_double_precision_has_gradients(images):
    layer = GroupedConv2D(6, 3, padding="same", groups=GROUPS, dtype="float64")
    layer.build((None, 5, 4, 12))
    assert all(np.isfinite(values).all() for values in derivatives(layer, images.astype(np.float64)))
