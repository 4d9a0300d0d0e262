"""Batch normalisation under any strategy, alone or conditional on the class; and normalisation of single images."""

import keras
import tensorflow as tf


def batch_normalization(name: str, *, affine: bool = True, epsilon: float = 1e-3) -> keras.layers.BatchNormalization:
    """Returns batch normalisation over the global batch under the current strategy.

    Unsynchronised, the replicas' statistics drift apart and only those of the first are saved.

    Arguments:
      name: of the layer.
      affine: whether it learns a factor and an offset for every channel.
      epsilon: added to the variance.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return keras.layers.BatchNormalization(
        center=affine, scale=affine, epsilon=epsilon, synchronized=replicas > 1, name=name
    )


def instance_normalization(name: str) -> keras.layers.GroupNormalization:
    """Returns a normalisation of every channel of every image by itself. Ulyanov et al. 2016, eq. 2."""
    return keras.layers.GroupNormalization(groups=-1, epsilon=1e-5, name=name)


class ConditionalBatchNormalization(keras.layers.Layer):
    """Batch normalisation with a factor and an offset for every channel of every class. Dumoulin et al. 2017, eq. 5.

    The moments are taken over all classes together, over the global batch.
    """

    def __init__(self, num_classes: int, *, epsilon: float = 1e-3, name: str | None = None) -> None:
        super().__init__(name=name)
        self._num_classes = num_classes
        self.norm = batch_normalization("norm", affine=False, epsilon=epsilon)

    def build(self, inputs_shape: tuple, labels_shape: tuple) -> None:
        """Creates the moving statistics, and the tables, one row a class."""
        del labels_shape
        channels = inputs_shape[-1]
        self.norm.build(inputs_shape)
        self.factors = keras.layers.Embedding(self._num_classes, channels, "ones", name="factors")
        self.offsets = keras.layers.Embedding(self._num_classes, channels, "zeros", name="offsets")
        self.factors.build((self._num_classes,))
        self.offsets.build((self._num_classes,))

    def call(self, inputs: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns features of the shape of the inputs `[N, H, W, C]`, whose classes are the labels `[N]`."""
        factors, offsets = self.factors(labels), self.offsets(labels)
        return self.norm(inputs, training=training) * factors[:, None, None] + offsets[:, None, None]

    def compute_output_shape(self, inputs_shape: tuple, labels_shape: tuple) -> tuple:
        """Returns the shape of the outputs."""
        del labels_shape
        return inputs_shape
