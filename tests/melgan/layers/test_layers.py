import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures import bagan_gp
from melgan.gans.architectures.networks import NetworkShape
from melgan.layers.leaky_relu import LeakyReLU
from melgan.layers.per_label import PerLabel
from melgan.layers.two_linear import TwoLinear

LABELS = tf.constant([2, 0, 2, 1, 2])


def random(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def derivatives(function, inputs, weights=()):
    """Returns values, first derivatives, and derivatives of the squared norm of those by the inputs, as a penalty."""
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            outputs = function(inputs)
            loss = tf.reduce_sum(outputs**3)
        first = inner.gradient(loss, [inputs, *weights])
        norm = tf.reduce_sum(first[0] ** 2)
    return outputs, *first, *outer.gradient(norm, [inputs, *weights], unconnected_gradients="zero")


def assert_equal_within_rounding(ours, plain):
    assert len(ours) == len(plain)
    for own, other in zip(ours, plain, strict=True):
        own, other = tf.convert_to_tensor(own).numpy(), tf.convert_to_tensor(other).numpy()
        assert np.abs(other).max() > 0.1
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=2e-6 * np.abs(other).max())


@pytest.mark.parametrize("compiled", [None, False, True], ids=["eager", "graph", "xla"])
def test_leaky_relu_and_its_derivatives_are_those_of_tensorflow(compiled):
    inputs = tf.concat([random(3, 5), tf.zeros([3, 1]), random(3, 2, seed=1) * 1e-20], axis=1)
    layer = LeakyReLU(0.2)
    layer(inputs)

    def ours(inputs):
        return derivatives(layer, inputs)

    measured = ours(inputs) if compiled is None else tf.function(ours, jit_compile=compiled)(inputs)
    assert_equal_within_rounding(measured, derivatives(lambda inputs: tf.nn.leaky_relu(inputs, 0.2), inputs))


def test_leaky_relu_by_hand():
    inputs, layer = tf.constant([-2.0, 0.0, 3.0]), LeakyReLU(0.2)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
    np.testing.assert_allclose(outputs, [-0.4, 0, 3])
    np.testing.assert_allclose(tape.gradient(outputs, inputs, tf.constant([1.0, 10.0, 100.0])), [0.2, 2, 100])


def test_leaky_relu_has_no_second_derivative():
    inputs, layer = random(4), LeakyReLU(0.2)
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            outputs = layer(inputs)
        slopes = inner.gradient(outputs, inputs)
    assert outer.gradient(slopes, inputs) is None


def test_per_label_equals_the_layers_on_every_example():
    layers = [keras.layers.Embedding(3, 4), keras.layers.Dense(6), LeakyReLU(0.2)]
    layer, features = PerLabel(*layers), random(5, 6)
    layer.build((None,))
    assert [tuple(weight.shape) for weight in layer.weights] == [(3, 4), (4, 6), (6,)]
    layer.set_weights([random(*weight.shape, seed=seed) for seed, weight in enumerate(layer.weights)])

    def in_a_row(labels):
        for one in layers:
            labels = one(labels)
        return labels

    ours, plain = (
        derivatives(lambda images, give=give: images * give(LABELS), features, layer.trainable_weights)
        for give in (layer, in_a_row)
    )
    assert_equal_within_rounding(ours, plain)


def test_two_linear_equals_its_layers_in_a_row():
    layer, inputs = TwoLinear(keras.layers.Dense(4), keras.layers.Dense(2)), random(5, 6)
    layer(inputs)
    assert [tuple(weight.shape) for weight in layer.weights] == [(6, 4), (4,), (4, 2), (2,)]
    layer.set_weights([random(*weight.shape, seed=seed) for seed, weight in enumerate(layer.weights)])
    ours, plain = (
        derivatives(give, inputs, layer.trainable_weights)
        for give in (layer, lambda inputs: layer.second(layer.first(inputs)))
    )
    assert_equal_within_rounding(ours, plain)


def build_head():
    shape = NetworkShape(image_size=32, num_classes=3, latent_dim=8, width=0.1)
    return bagan_gp.build(shape).discriminator.head


def test_a_file_of_weights_restores_the_head(tmp_path):
    head, other, features = build_head(), build_head(), random(5, 416)
    head.save_weights(tmp_path / "head.weights.h5")
    assert np.abs(head([features, LABELS]) - other([features, LABELS])).max() > 0.01
    other.load_weights(tmp_path / "head.weights.h5")
    np.testing.assert_array_equal(head([features, LABELS]), other([features, LABELS]))


@pytest.mark.parametrize(("precision", "decimals"), [("mixed_bfloat16", 1), ("mixed_float16", 2)])
def test_head_computes_in_the_precision_asked_for(precision, decimals):
    head, features = build_head(), random(5, 416)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        low = build_head()
    finally:
        keras.config.set_dtype_policy(before)
    low.set_weights(head.get_weights())
    logits = low([features, LABELS])
    assert logits.dtype.name == precision.removeprefix("mixed_")
    assert all(weight.dtype == "float32" for weight in low.weights)
    np.testing.assert_allclose(tf.cast(logits, tf.float32), head([features, LABELS]), atol=10**-decimals)
