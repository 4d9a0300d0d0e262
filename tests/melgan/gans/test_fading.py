import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.fading import at_level, grow
from melgan.layers.fade_in import FadeIn

OLD, NEW = (np.random.default_rng(seed).normal(size=(2, 4, 4, 3)).astype(np.float32) for seed in range(2))
IMAGES = np.random.default_rng(2).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)


@pytest.fixture
def network():
    """A network that fades in levels 1, 2 and 3, one after another."""
    inputs = keras.Input((4, 4, 3))
    x = inputs
    for level in (1, 2, 3):
        x = FadeIn(level, name=f"fade_{level}")([x, keras.layers.Rescaling(2.0)(x)])
    return keras.Model(inputs, x)


def test_ends_of_a_fade_are_exact():
    fade = FadeIn(1)
    np.testing.assert_array_equal(fade([OLD, NEW]), NEW)
    fade.share.assign(0.0)
    np.testing.assert_array_equal(fade([OLD, NEW]), OLD)
    fade.share.assign(0.25)
    np.testing.assert_allclose(fade([OLD, NEW]), 0.75 * OLD + 0.25 * NEW, rtol=1e-6)


@pytest.mark.parametrize(
    ("degree", "alphas"), [(0.0, [0, 0, 0]), (0.25, [0.25, 0, 0]), (1.0, [1, 0, 0]), (2.5, [1, 1, 0.5]), (3.0, [1] * 3)]
)
def test_degree_is_the_sum_of_alphas(network, degree, alphas):
    grow(tf.constant(degree), network)
    assert [float(network.get_layer(f"fade_{level}").share) for level in (1, 2, 3)] == alphas
    np.testing.assert_allclose(network(OLD), OLD * np.prod(np.add(alphas, 1)), rtol=1e-6)


def test_alphas_are_not_trained(network):
    assert not network.trainable_variables
    assert len(network.non_trainable_variables) == 3


def averaged(side):
    means = IMAGES.reshape(2, 16 // side, side, 16 // side, side, 3).mean(axis=(2, 4))
    return means.repeat(side, axis=1).repeat(side, axis=2)


@pytest.mark.parametrize(("level", "side"), [(0, 4), (1, 2), (2, 1)])
def test_grown_level_sees_images_averaged_down_to_its_resolution(level, side):
    images = at_level(tf.constant(IMAGES), level, tf.constant(float(level)))
    np.testing.assert_allclose(images, averaged(side), rtol=1e-5, atol=1e-6)


def test_images_fade_as_the_networks_do():
    for degree in (1.0, 1.25, 2.0):
        alpha = degree - 1
        images = at_level(tf.constant(IMAGES), 2, tf.constant(degree))
        np.testing.assert_allclose(images, (1 - alpha) * averaged(2) + alpha * IMAGES, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(at_level(tf.constant(IMAGES), 2, tf.constant(2.0)), IMAGES)
