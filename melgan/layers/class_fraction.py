"""The layer through which the class comes into a generator little by little. Shahbazi et al. 2022, section 4.

https://arxiv.org/abs/2201.06578
"""

import keras
import tensorflow as tf


class ClassFraction(keras.layers.Layer):
    """Scales what comes of the label by a fraction, from 0, where all classes are one, to 1.

    The fraction is a weight that is not trained, so that a generator tells from its weights how much its classes mean.
    """

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.fraction = self.add_weight((), "ones", trainable=False, autocast=False, name="fraction")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the inputs times the fraction."""
        return inputs * tf.cast(self.fraction.value, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the inputs."""
        return input_shape


def set_class_fraction(fraction: tf.Tensor, *networks: keras.Model) -> None:
    """Sets the fraction of the class `[]` in networks, outside of replicas."""
    for network in networks:
        for layer in network.layers:
            if isinstance(layer, ClassFraction):
                layer.fraction.assign(fraction)
