"""Bilinear resampling by a factor of 2 that keeps frequencies from aliasing: the filter [1, 3, 3, 1] on both axes.

[1, 3, 3, 1] is the nearest neighbour [1, 1] smoothed by [1, 2, 1]. Outside of images lie zeros, as in the authors' code
of Huang et al. 2024. It is made of sums and shapes only, so every device and every order of gradients has it.
"""

from collections.abc import Callable

import keras
import tensorflow as tf


class Upsample2D(keras.layers.Layer):
    """Doubles height and width: a new place is 3/4 of the old place that it lies in and 1/4 of the nearest other."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, 2 H, 2 W, C]` for inputs `[N, H, W, C]`."""
        return _along_both_axes(_doubled, inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the outputs."""
        batch, height, width, channels = input_shape
        return batch, 2 * height, 2 * width, channels


class Downsample2D(keras.layers.Layer):
    """Halves height and width: a new place is the mean of the nearest four old ones, with weights [1, 3, 3, 1]."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, H / 2, W / 2, C]` for inputs `[N, H, W, C]` of even height and width."""
        return _along_both_axes(_halved, inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the outputs."""
        batch, height, width, channels = input_shape
        return batch, height // 2, width // 2, channels


def _along_both_axes(resample: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """Returns images `[N, H, W, C]` resampled by a function of rows `[M, L, K]`."""
    _, height, width, channels = images.shape
    rows = resample(tf.reshape(images, [-1, height, width * channels]))
    columns = resample(tf.reshape(rows, [-1, width, channels]))
    return tf.reshape(columns, [-1, rows.shape[1], columns.shape[1], channels])


def _doubled(rows: tf.Tensor) -> tf.Tensor:
    """Returns `[M, 2 L, K]` for rows `[M, L, K]`."""
    before, after = _neighbours(rows, rows)
    pairs = tf.stack([0.75 * rows + 0.25 * before, 0.75 * rows + 0.25 * after], axis=2)
    return tf.reshape(pairs, [-1, 2 * rows.shape[1], rows.shape[2]])


def _halved(rows: tf.Tensor) -> tf.Tensor:
    """Returns `[M, L / 2, K]` for rows `[M, L, K]`."""
    even, odd = tf.unstack(tf.reshape(rows, [-1, rows.shape[1] // 2, 2, rows.shape[2]]), axis=2)
    before, after = _neighbours(odd, even)
    return 0.375 * (even + odd) + 0.125 * (before + after)


def _neighbours(left: tf.Tensor, right: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what `left` has one place before and `right` one place after, zero at the ends; all `[M, L, K]`."""
    return tf.pad(left[:, :-1], [[0, 0], [1, 0], [0, 0]]), tf.pad(right[:, 1:], [[0, 0], [0, 1], [0, 0]])
