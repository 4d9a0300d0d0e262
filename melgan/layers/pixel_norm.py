"""Pixelwise normalisation of feature vectors. Karras et al. 2018, section 4.2."""

import keras
import tensorflow as tf


class PixelNorm(keras.layers.Layer):
    """x / sqrt(mean of x^2 over channels + 1e-8), of any shape `[..., C]`; computed in single precision at least."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns vectors of the shape of the inputs, with a mean square of one."""
        values = tf.cast(inputs, keras.config.floatx())
        mean_squares = tf.reduce_mean(tf.square(values), axis=-1, keepdims=True)
        return tf.cast(values * tf.math.rsqrt(mean_squares + 1e-8), inputs.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the inputs."""
        return input_shape
