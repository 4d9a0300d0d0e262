"""Borders that continue an image as its mirror image does, so that none of them is a frame to be learnt."""

import keras
import tensorflow as tf


class ReflectPadding2D(keras.layers.Layer):
    """Adds `size` pixels on every side, those beside the border mirrored at it: `[N, H, W, C]` to larger H and W."""

    def __init__(self, size: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._size = size

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, H + 2 size, W + 2 size, C]`."""
        rim = [self._size, self._size]
        return tf.pad(inputs, [[0, 0], rim, rim, [0, 0]], mode="REFLECT")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the outputs."""
        batch, height, width, channels = input_shape
        return batch, height + 2 * self._size, width + 2 * self._size, channels
