"""Two linear layers in a row, computed as one."""

import keras
import tensorflow as tf


class TwoLinear(keras.layers.Layer):
    """Two dense layers with nothing between them, as one: x (A B) + (a B + b) instead of (x A + a) B + b.

    Pays where the second has fewer units than the first. Both kernels stay, and learn as they would apart.

    Arguments:
      first: maps inputs `[N, C]` to `[N, hidden units]`.
      second: maps those to `[N, units]`.
    """

    def __init__(self, first: keras.layers.Dense, second: keras.layers.Dense, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.first, self.second = first, second

    def build(self, input_shape: tuple) -> None:
        """Creates the weights of both layers."""
        self.first.build(input_shape)
        self.second.build((*input_shape[:-1], self.first.units))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, units]` for inputs `[N, C]`."""
        kernel = tf.matmul(self.first.kernel, self.second.kernel)
        bias = self.second(self.first.bias[tf.newaxis])
        return tf.matmul(inputs, kernel) + bias
