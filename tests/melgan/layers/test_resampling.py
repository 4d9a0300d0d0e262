import numpy as np
import pytest
import tensorflow as tf

from melgan.layers.resampling import Downsample2D, Upsample2D


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype(np.float32)


def doubling(size):
    """Returns the matrix `[2 size, size]` of the filter [1, 3, 3, 1] / 4 over places with zeros between and around."""
    matrix = np.zeros((2 * size, size))
    for place in range(size):
        for offset, weight in zip((-1, 0, 1, 2), (0.25, 0.75, 0.75, 0.25), strict=True):
            if 0 <= 2 * place + offset < 2 * size:
                matrix[2 * place + offset, place] = weight
    return matrix


def test_upsampling_is_the_filter_on_both_axes(images):
    by_hand = np.einsum("Hh,Ww,nhwc->nHWc", doubling(6), doubling(4), images)
    np.testing.assert_allclose(Upsample2D()(images), by_hand, rtol=1e-5, atol=1e-6)


def test_downsampling_is_the_same_filter_and_half_as_heavy_on_either_axis(images):
    by_hand = np.einsum("Hh,Ww,nHWc->nhwc", doubling(3), doubling(2), images) / 4
    np.testing.assert_allclose(Downsample2D()(images), by_hand, rtol=1e-5, atol=1e-6)


def test_inside_an_image_of_one_colour_nothing_changes():
    grey = tf.ones([1, 8, 8, 2])
    np.testing.assert_allclose(Upsample2D()(grey)[:, 1:-1, 1:-1], np.ones((1, 14, 14, 2)), rtol=1e-6)
    np.testing.assert_allclose(Downsample2D()(grey)[:, 1:-1, 1:-1], np.ones((1, 2, 2, 2)), rtol=1e-6)
    np.testing.assert_allclose(Upsample2D()(grey)[0, 0, 0, 0], 0.75**2, rtol=1e-6)  # zeros lie around


def test_finest_stripes_vanish():
    stripes = np.tile(np.reshape([1.0, -1.0], (1, 1, 2, 1)), (1, 8, 4, 1)).astype(np.float32)
    np.testing.assert_allclose(Downsample2D()(stripes)[:, 1:-1, 1:-1], np.zeros((1, 2, 2, 1)), atol=1e-7)


@pytest.mark.parametrize(("layer", "shape"), [(Upsample2D(), (None, 12, 8, 3)), (Downsample2D(), (None, 3, 2, 3))])
def test_shapes_are_known_before(layer, shape):
    assert layer.compute_output_shape((None, 6, 4, 3)) == shape
