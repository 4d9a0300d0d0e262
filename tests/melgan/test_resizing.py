import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from melgan.resizing import resize, resizing_matrix

SIZES = [(64, 25), (25, 31), (31, 25), (54, 64), (7, 21), (64, 64), (11, 12)]


@pytest.mark.parametrize(("size", "new_size"), SIZES)
def test_rows_sum_to_one(size, new_size):
    matrix = resizing_matrix(size, new_size)
    assert matrix.shape == (new_size, size)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize(("size", "new_size"), SIZES)
def test_images_are_those_of_pillow(size, new_size):
    channels = np.random.default_rng(0).uniform(-1, 1, (3, size, size)).astype(np.float32)
    resized = resize(tf.constant(channels.transpose(1, 2, 0)[None]), new_size)
    side = (new_size, new_size)
    expected = [np.asarray(Image.fromarray(channel).resize(side, Image.Resampling.BICUBIC)) for channel in channels]
    np.testing.assert_allclose(resized[0], np.stack(expected, axis=2), atol=1e-5)


def test_same_size_is_the_same_image():
    np.testing.assert_array_equal(resizing_matrix(9, 9), np.eye(9))


def test_constant_images_stay_constant():
    resized = resize(tf.fill([2, 20, 20, 3], 0.7), 13)
    assert resized.shape == (2, 13, 13, 3)
    np.testing.assert_allclose(resized, 0.7, atol=1e-6)


def test_rows_and_columns_keep_their_places():
    """A gradient from left to right stays one, and each image of a batch is its own."""
    rows = np.broadcast_to(np.linspace(-1, 1, 16, dtype=np.float32), (16, 16))
    images = np.stack([rows, rows.T])[..., None]
    resized = resize(tf.constant(images), 8).numpy()
    by_hand = np.linspace(-1, 1, 16).reshape(8, 2).mean(axis=1)
    np.testing.assert_allclose(resized[0, 4, 2:-2, 0], by_hand[2:-2], atol=1e-6)
    np.testing.assert_allclose(resized[1, 2:-2, 4, 0], by_hand[2:-2], atol=1e-6)
