"""A sum of images that stays in the range of images."""

import keras
import tensorflow as tf


class AddWithinRange(keras.layers.Layer):
    """image + change, clipped to [-1, 1], in single precision."""

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name, autocast=False, dtype=keras.config.floatx())

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Returns the sum `[N, H, W, C]` of [image, change], both of this shape."""
        image, change = inputs
        return tf.clip_by_value(image + change, -1.0, 1.0)
