import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.augmentations.diffaugment import (
    random_brightness,
    random_contrast,
    random_cutout,
    random_saturation,
    random_translation,
)
from melgan.training.randomness import Draws

BATCH, SIZE = 64, 16


class GivenDraws(Draws):
    """Hands out the numbers that a test gives, whatever is asked for."""

    def uniform(self, *shape):
        return tf.reshape(tf.constant(self.seed, tf.float32), [self.batch_size, *shape])


def given(*numbers):
    return GivenDraws(numbers, 0, 1, 1)


@pytest.fixture
def draws():
    return Draws(tf.constant([1, 2]), 0, BATCH, 1)


@pytest.fixture
def images():
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, (BATCH, SIZE, SIZE, 3)), tf.float32)


def test_colours_by_hand():
    pixels = tf.constant([[[[0.0, 0.3, 0.6], [0.2, 0.2, 0.2]]]])  # means 0.3 and 0.2, of all 0.25
    np.testing.assert_allclose(random_brightness(pixels, given(0.9))[0, 0], [[0.4, 0.7, 1.0], [0.6] * 3], rtol=1e-6)
    np.testing.assert_allclose(random_saturation(pixels, given(0.75))[0, 0], [[-0.15, 0.3, 0.75], [0.2] * 3], atol=1e-7)
    np.testing.assert_allclose(
        random_contrast(pixels, given(0.0))[0, 0], [[0.125, 0.275, 0.425], [0.225] * 3], rtol=1e-6
    )


@pytest.mark.parametrize(("number", "shift"), [(0.0, -2), (0.19, -2), (0.5, 0), (0.79, 1), (0.99, 2)])
def test_translation_by_hand(images, number, shift):
    """16 px shift by up to 2: five whole numbers, a fifth of the range each; what comes in is 0."""
    image = images[:1].numpy()
    down = random_translation(images[:1], given(number, 0.5)).numpy()
    right = random_translation(images[:1], given(0.5, number)).numpy()
    for axis, moved in ((1, down), (2, right)):
        expected = np.roll(image, shift, axis)
        empty = [slice(None)] * 4
        empty[axis] = slice(0, shift) if shift >= 0 else slice(SIZE + shift, SIZE)
        expected[tuple(empty)] = 0
        np.testing.assert_array_equal(moved, expected)


@pytest.mark.parametrize(("number", "rows"), [(0.0, (0, 4)), (0.5, (4, 12)), (0.999, (12, 16))])
def test_cutout_by_hand(number, rows):
    """A window of 8 of 16 px, its centre anywhere from 0 to 16, clipped at the edge."""
    cut = random_cutout(tf.ones([1, SIZE, SIZE, 3]), given(number, 0.5)).numpy()
    expected = np.ones((1, SIZE, SIZE, 3))
    expected[:, slice(*rows), 4:12] = 0
    np.testing.assert_array_equal(cut, expected)


def test_diffaugment_reaches_its_limits_and_no_further(images, draws):
    ones = tf.ones_like(images)
    kept = random_cutout(ones, draws).numpy().mean(axis=(1, 2, 3))
    assert 0.74 < kept.min() < 0.76  # a half by a half is gone at most
    assert kept.max() > 0.85
    kept = random_translation(ones, draws).numpy()[..., 0]
    rows = {int(image.max(axis=1).sum()) for image in kept}
    assert rows == {14, 15, 16}
