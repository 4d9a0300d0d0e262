"""Pixels repeated, then a convolution: an enlargement without a checkered grain, for the price of a transposed one.

Odena et al. 2016, "Deconvolution and checkerboard artifacts". https://distill.pub/2016/deconv-checkerboard
"""

from collections.abc import Callable

import keras
import tensorflow as tf

_SIZE = 3


class ResizedConv2D(keras.layers.Layer):
    """Repeats pixels twice along both axes, then convolves with 3 x 3: `[N, H, W, C]` to `[N, 2H, 2W, filters]`.

    Computed as a transposed convolution, of strides 2 and a kernel of 4 x 4, which is that of 3 x 3 summed over the 2 x
    2 places of a repeated pixel: equal, with 4 in place of 9 products for every weight of a pixel.

    Arguments:
      filters: channels of the outputs.
      activation: what they go through; None: nothing.
      kernel_initializer: of the 3 x 3 kernel.
    """

    def __init__(
        self,
        filters: int,
        *,
        activation: str | None = None,
        kernel_initializer: keras.initializers.Initializer | str = "glorot_uniform",
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._filters, self._initializer = filters, kernel_initializer
        self._activation: Callable[[tf.Tensor], tf.Tensor] = keras.activations.get(activation)

    def build(self, input_shape: tuple) -> None:
        """Creates the weights."""
        self.kernel = self.add_weight((_SIZE, _SIZE, input_shape[-1], self._filters), self._initializer, name="kernel")
        self.bias = self.add_weight((self._filters,), "zeros", name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, 2H, 2W, filters]` for inputs `[N, H, W, C]`."""
        outputs = keras.ops.conv_transpose(inputs, self._summed_kernel(), strides=2, padding="same")
        return self._activation(outputs + self.bias)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the outputs."""
        batch, height, width, _ = input_shape
        return batch, 2 * height, 2 * width, self._filters

    def _summed_kernel(self) -> tf.Tensor:
        """Returns the kernel `[4, 4, filters, C]` of the transposed convolution."""
        turned = tf.transpose(tf.reverse(tf.convert_to_tensor(self.kernel), [0, 1]), [0, 1, 3, 2])
        rows = tf.pad(turned, [[0, 1], [0, 0], [0, 0], [0, 0]]) + tf.pad(turned, [[1, 0], [0, 0], [0, 0], [0, 0]])
        return tf.pad(rows, [[0, 0], [0, 1], [0, 0], [0, 0]]) + tf.pad(rows, [[0, 0], [1, 0], [0, 0], [0, 0]])
