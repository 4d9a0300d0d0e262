"""Differentiable augmentation of what the discriminator sees, real and fake alike. Zhao et al. 2020.

Shifts and windows are products with matrices rather than gathers: static shapes for XLA, and no scattered sums in the
gradient.
"""

from collections.abc import Sequence
from enum import IntEnum

import keras
import tensorflow as tf

from melgan.images import scale_contrast, scale_saturation
from melgan.training.randomness import Draws

PARTS_OF_DIFFAUGMENT = ("colour", "translation", "cutout")

TRANSLATION = 1 / 8
CUTOUT = 1 / 2


class Use(IntEnum):
    """Uses of random numbers."""

    BRIGHTNESS = 0
    SATURATION = 1
    CONTRAST = 2
    TRANSLATION = 3
    CUTOUT = 4


def diffaugment(images: tf.Tensor, draws: Draws, parts: Sequence[str] = PARTS_OF_DIFFAUGMENT) -> tf.Tensor:
    """Colour, translation by up to 1/8 and a cutout of 1/2 of the side, or some of these parts.

    Zhao et al. 2020, section 3 and appendix.
    """
    if "colour" in parts:
        images = random_brightness(images, draws.fold(Use.BRIGHTNESS))
        images = random_saturation(images, draws.fold(Use.SATURATION))
        images = random_contrast(images, draws.fold(Use.CONTRAST))
    if "translation" in parts:
        images = random_translation(images, draws.fold(Use.TRANSLATION))
    return random_cutout(images, draws.fold(Use.CUTOUT)) if "cutout" in parts else images


def random_brightness(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Adds to each image a number from [-0.5, 0.5)."""
    return images + (draws.uniform(1, 1, 1) - 0.5)


def random_saturation(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Scales the distance of each pixel's channels from their mean by a factor from [0, 2)."""
    return scale_saturation(images, 2.0 * draws.uniform(1, 1, 1))


def random_contrast(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Scales the distance of each image's values from their mean by a factor from [0.5, 1.5)."""
    return scale_contrast(images, draws.uniform(1, 1, 1) + 0.5)


def random_translation(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Shifts each image by whole pixels, up to 1/8 of its sides either way; what comes in is 0, a mid grey."""
    _, height, width, _ = images.shape
    uniform = draws.uniform(2)
    down = _whole_number(uniform[:, 0], -_rounded(height * TRANSLATION), _rounded(height * TRANSLATION))
    right = _whole_number(uniform[:, 1], -_rounded(width * TRANSLATION), _rounded(width * TRANSLATION))
    images = tf.einsum("nij,njwc->niwc", _shift_matrix(down, height), images)
    return tf.einsum("nij,nhjc->nhic", _shift_matrix(right, width), images)


def random_cutout(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Sets a rectangle of half of each image's sides, whose centre may lie anywhere in the image, to 0."""
    _, height, width, _ = images.shape
    uniform = draws.uniform(2)
    rows, columns = _window(uniform[:, 0], height), _window(uniform[:, 1], width)
    return images * (1.0 - rows[:, :, None, None] * columns[:, None, :, None])


def _shift_matrix(shift: tf.Tensor, size: int) -> tf.Tensor:
    """Returns `[N, size, size]`: row i picks element i - shift, or nothing where that is outside."""
    return tf.one_hot(tf.range(size)[None, :] - shift[:, None], size, dtype=keras.config.floatx())


def _window(uniform: tf.Tensor, size: int) -> tf.Tensor:
    """Returns `[N, size]`, 1 inside a window of half the size around a random pixel, else 0."""
    length = _rounded(size * CUTOUT)
    start = _whole_number(uniform, 0, size - length % 2) - length // 2
    position = tf.range(size)[None, :] - start[:, None]
    return tf.cast((position >= 0) & (position < length), uniform.dtype)


def _whole_number(uniform: tf.Tensor, low: int, high: int) -> tf.Tensor:
    """Returns numbers that are uniform in [0, 1) as whole numbers from low to high, both included."""
    return low + tf.minimum(tf.cast(uniform * (high - low + 1), tf.int32), high - low)


def _rounded(length: float) -> int:
    return int(length + 0.5)
