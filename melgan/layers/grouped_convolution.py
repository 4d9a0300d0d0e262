"""A convolution in groups of channels that trains on every device."""

import keras
import tensorflow as tf


class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with `groups`, of stride 1: same weights, same results.

    TensorFlow has the gradients of a grouped convolution for GPU and TPU, on processors only in single precision with
    oneDNN. There each group is a convolution of its own, which costs about half as much again, and needs neither.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Returns `[N, H, W, filters]` for inputs `[N, H, W, C]` and a kernel `[h, w, C / groups, filters]`."""
        padding = self.padding.upper()
        if tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"):
            return tf.nn.conv2d(inputs, kernel, strides=1, padding=padding)
        groups = zip(tf.split(inputs, self.groups, axis=-1), tf.split(kernel, self.groups, axis=-1), strict=True)
        return tf.concat([tf.nn.conv2d(*group, strides=1, padding=padding) for group in groups], axis=-1)
