import numpy as np
import pytest
import tensorflow as tf

from melgan.layers.normalization import instance_normalization
from melgan.layers.reflect_padding import ReflectPadding2D


@pytest.mark.parametrize("size", [1, 3])
def test_borders_are_mirrored_at_the_last_pixels(size):
    images = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
    layer = ReflectPadding2D(size)
    found = layer(tf.constant(images))
    np.testing.assert_array_equal(found, np.pad(images, [(0, 0), (size, size), (size, size), (0, 0)], "reflect"))
    assert layer.compute_output_shape((None, 5, 6, 3)) == (None, 5 + 2 * size, 6 + 2 * size, 3)


def test_every_channel_of_every_image_is_normalised_by_itself():
    scales = np.array([1.0, 10.0, 100.0])
    images = 5 + scales * np.random.default_rng(0).normal(size=(2, 7, 6, 3))
    found = instance_normalization("norm")(tf.constant(images, tf.float32)).numpy()
    np.testing.assert_allclose(found.mean(axis=(1, 2)), np.zeros((2, 3)), atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(1, 2)), np.ones((2, 3)), rtol=1e-4)
