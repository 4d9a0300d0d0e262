"""Boxes as a channel of an image, at any resolution: the condition of Han et al. 2019 (arXiv 1902.09856)."""

import keras
import tensorflow as tf

MAX_BOXES = 8  # of an image that networks are told of, the largest


def rasterise(boxes: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the fraction of every pixel that boxes cover, `[N, size, size, 1]` in [0, 1], of the type of `floatx`.

    The fractions of several boxes add up, to 1 at most. So where boxes do not overlap, the map is exact, and every
    resolution is the area mean of the finer ones; where they do, the pixels at the rim of the overlap count too much.
    Static shapes and products of small matrices only, so XLA can compile it.

    Arguments:
      boxes: `[N, M, 4]`: x_min, y_min, x_max, y_max as fractions of the sides in [0, 1]; a box of zeros covers nothing.
      size: height and width of the map in pixels.
    """
    pixels = tf.cast(boxes, keras.config.floatx()) * size
    x_min, y_min, x_max, y_max = tf.unstack(pixels, axis=-1)
    covered = tf.einsum("nmh,nmw->nhw", _coverage(y_min, y_max, size), _coverage(x_min, x_max, size))
    return tf.minimum(covered, 1.0)[..., None]


class BoxMap(keras.layers.Layer):
    """Boxes `[N, M, 4]` as maps `[N, size, size, 1]`, see `rasterise`; made in single precision at least."""

    def __init__(self, size: int, *, name: str | None = None) -> None:
        super().__init__(name=name, dtype=keras.config.floatx(), autocast=False)
        self._size = size

    def call(self, boxes: tf.Tensor) -> tf.Tensor:
        """Returns the maps."""
        return rasterise(boxes, self._size)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of as many maps."""
        return (input_shape[0], self._size, self._size, 1)


def _coverage(begin: tf.Tensor, end: tf.Tensor, size: int) -> tf.Tensor:
    """Returns how much of each of `size` pixels lies between `begin` and `end` `[N, M]`, `[N, M, size]`."""
    edges = tf.range(size, dtype=begin.dtype)
    overlap = tf.minimum(end[..., None], edges + 1) - tf.maximum(begin[..., None], edges)
    return tf.maximum(overlap, 0.0)
