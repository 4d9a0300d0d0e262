"""Features of a label, computed once for every class instead of for every example."""

import keras
import tensorflow as tf


class PerLabel(keras.layers.Layer):
    """Layers on labels, such as an embedding and a dense layer, computed once for every class.

    Equal to the three in a row on every example, and less work where a batch has more examples than there are classes.

    Arguments:
      embedding, dense, activation: the layers; each is an attribute, or checkpoints would not hold its weights.
    """

    def __init__(
        self,
        embedding: keras.layers.Embedding,
        dense: keras.layers.Dense,
        activation: keras.layers.Layer,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.embedding, self.dense, self.activation = embedding, dense, activation

    def build(self, input_shape: tuple) -> None:
        """Creates the weights of the layers."""
        del input_shape
        num_classes = self.embedding.input_dim
        self.embedding.build((num_classes,))
        self.dense.build((num_classes, self.embedding.output_dim))

    def call(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns the outputs `[N, C]` for labels `[N]`."""
        table = self.activation(self.dense(self.embedding(tf.range(self.embedding.input_dim))))
        return tf.gather(table, labels)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the outputs."""
        return *input_shape, self.dense.units
