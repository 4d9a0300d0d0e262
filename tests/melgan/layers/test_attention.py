import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.layers.attention import Attend, self_attention
from melgan.training.precision import layers_computing_in

INPUTS = np.random.default_rng(0).normal(size=(2, 4, 6, 16)).astype(np.float32)


@pytest.fixture
def network():
    """Self-attention with kernels at random."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(INPUTS.shape[1:])
    return keras.Model(inputs, self_attention(inputs, "attention"))


def pooled(features):
    """Returns the maxima of 2 x 2 places."""
    n, height, width, channels = features.shape
    return features.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def test_without_gain_it_is_the_identity(network):
    np.testing.assert_array_equal(network(INPUTS), INPUTS)


def test_with_gain_it_is_equation_3(network):
    network.get_layer("attention_sum").gain.assign(0.7)

    def linear(name, features):
        return features @ network.get_layer(f"attention_{name}").effective_kernel().numpy()[0, 0]

    queries = linear("queries", INPUTS).reshape(2, 24, 2)
    keys = pooled(linear("keys", INPUTS)).reshape(2, 6, 2)
    values = pooled(linear("values", INPUTS)).reshape(2, 6, 8)
    exponentials = np.exp(np.einsum("nqc,nkc->nqk", queries, keys))
    weights = exponentials / exponentials.sum(axis=2, keepdims=True)
    gathered = np.einsum("nqk,nkc->nqc", weights, values).reshape(2, 4, 6, 8)
    np.testing.assert_allclose(network(INPUTS), INPUTS + 0.7 * linear("outputs", gathered), rtol=1e-4, atol=1e-5)


def test_equal_keys_gather_the_mean_and_a_clear_match_its_value():
    values = tf.reshape([1.0, 3.0, 5.0, 7.0], [1, 2, 2, 1])
    queries = tf.ones([1, 1, 1, 1])
    assert Attend()([queries, tf.zeros([1, 2, 2, 1]), values]).numpy().item() == 4.0
    keys = tf.reshape([0.0, 0.0, 100.0, 0.0], [1, 2, 2, 1])
    assert Attend()([queries, keys, values]).numpy().item() == 5.0


def test_the_gain_learns_from_zero(network):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(INPUTS) ** 2)
    assert abs(float(tape.gradient(loss, network.get_layer("attention_sum").gain.value))) > 1e-3


def test_fewer_than_eight_channels_are_enough():
    inputs = keras.Input((4, 4, 4))
    assert keras.Model(inputs, self_attention(inputs, "attention"))(tf.ones([1, 4, 4, 4])).shape == (1, 4, 4, 4)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_near(network, precision):
    with layers_computing_in(precision):
        inputs = keras.Input(INPUTS.shape[1:])
        low = keras.Model(inputs, self_attention(inputs, "attention"))
    network.get_layer("attention_sum").gain.assign(0.7)
    low.set_weights(network.get_weights())
    outputs = low(INPUTS)
    assert outputs.dtype == precision
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), network(INPUTS), atol=0.05)
