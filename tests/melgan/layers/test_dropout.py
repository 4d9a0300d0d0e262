import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.layers.dropout import Dropout, apply_network
from melgan.training.randomness import Draws

NOISE = tf.constant([[0.0, 0.24, 0.25, 0.99]])


def draws(seed=0, batch_size=8, replica=0, replicas=1):
    return Draws(tf.constant([0, seed]), replica, batch_size, replicas)


@pytest.fixture(scope="module")
def network():
    """Two dropouts in a row on images of ones."""
    images = keras.Input((8, 8, 3))
    noises = [keras.Input((8, 8, 3)) for _ in range(2)]
    x = images
    for noise in noises:
        x = Dropout(0.5)(x, noise)
    return keras.Model([images, *noises], x)


def test_by_hand():
    inputs = tf.constant([[3.0, -6.0, 3.0, -6.0]])
    np.testing.assert_allclose(Dropout(0.25)(inputs, NOISE, training=True), [[0.0, 0.0, 4.0, -8.0]])
    np.testing.assert_array_equal(Dropout(0.25)(inputs, NOISE), inputs)


def test_a_quarter_is_left_of_two_halves(network):
    outputs = apply_network(network, tf.ones([8, 8, 8, 3]), draws()).numpy()
    assert set(np.unique(outputs)) == {0.0, 4.0}
    assert np.mean(outputs) == pytest.approx(1.0, abs=0.2)


def test_numbers_decide(network):
    images = tf.ones([8, 8, 8, 3])
    first = apply_network(network, images, draws())
    np.testing.assert_array_equal(apply_network(network, images, draws()), first)
    assert not np.array_equal(apply_network(network, images, draws(seed=1)), first)


def test_two_replicas_drop_what_one_does(network):
    images = tf.ones([8, 8, 8, 3])
    halves = [apply_network(network, images[:4], draws(batch_size=4, replica=n, replicas=2)) for n in range(2)]
    np.testing.assert_array_equal(tf.concat(halves, axis=0), apply_network(network, images, draws()))


def test_nothing_is_dropped_without_numbers(network):
    images = tf.random.stateless_uniform([8, 8, 8, 3], [0, 0])
    np.testing.assert_array_equal(apply_network(network, images, None), images)
