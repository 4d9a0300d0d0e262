"""Dropout whose random numbers are an input, so that gradient functions stay pure.

Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", section 10, by which kept
features are enlarged in training instead of weights made smaller afterwards.
"""

import keras
import tensorflow as tf

from melgan.training.randomness import Draws


class Dropout(keras.layers.Layer):
    """Sets features to zero with probability `rate`, and divides the others by 1 - rate."""

    def __init__(self, rate: float, *, name: str | None = None) -> None:
        super().__init__(name=name, autocast=False)
        self._rate = rate

    def call(self, inputs: tf.Tensor, noise: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns features of the shape of the inputs; noise, uniform in [0, 1), has that shape too."""
        if not training:
            return inputs
        return tf.where(noise >= self._rate, inputs / (1.0 - self._rate), tf.zeros_like(inputs))


def apply_network(network: keras.Model, images: tf.Tensor, draws: Draws | None) -> tf.Tensor:
    """Returns the outputs of a network in training.

    Arguments:
      network: takes images, and noise for each of its dropout layers, if it has any.
      images: `[N, H, W, C]` in [-1, 1].
      draws: random numbers for the noise; None: nothing is dropped.
    """
    shapes = [noise.shape[1:] for noise in network.inputs[1:]]
    if not shapes:
        return network(images, training=True)
    images = tf.convert_to_tensor(images)
    if draws is None:
        return network([images, *(tf.ones([tf.shape(images)[0], *shape]) for shape in shapes)], training=False)
    noise = [draws.fold(number).uniform(*shape) for number, shape in enumerate(shapes)]
    return network([images, *noise], training=True)
