"""A leaky rectifier that is cheap where gradients of gradients are taken."""

import keras
import tensorflow as tf


class LeakyReLU(keras.layers.Layer):
    """x where it is positive, elsewhere `slope` (greater than 0) times x; of any shape. Maas et al. 2013.

    Equal to `keras.layers.LeakyReLU` with less work. Its second derivative is zero and is not there: TensorFlow's is
    a tensor of zeros, which a gradient penalty carries back through every convolution. And it remembers its outputs,
    of the same sign as the inputs, which need not be kept then.
    """

    def __init__(self, slope: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._slope = slope

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the activations, of the shape of the inputs."""

        @tf.custom_gradient
        def activate(inputs: tf.Tensor) -> tuple:
            outputs = tf.nn.leaky_relu(inputs, self._slope)
            signs = tf.stop_gradient(outputs)

            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=signs, alpha=self._slope)

            return outputs, gradient

        return activate(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the inputs."""
        return input_shape
