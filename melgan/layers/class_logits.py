"""Logits of all classes at once: the head of a classifier on features, whose weights lie one row a class."""

from collections.abc import Callable

import keras
import tensorflow as tf

# (number of classes, length of a row, name=) -> a layer that maps labels `[N]` to rows `[N, F]`.
MakeRows = Callable[..., keras.layers.Layer]


class ClassLogits(keras.layers.Layer):
    """Features `[N, F]` times the rows of all classes `[K, F]`, and a bias for each class: `[N, K]`."""

    def __init__(self, num_classes: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._num_classes = num_classes

    def build(self, features_shape: tuple, rows_shape: tuple) -> None:
        """Creates the biases."""
        del features_shape, rows_shape
        self.biases = self.add_weight((self._num_classes,), "zeros", name="biases")

    def call(self, features: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the logits."""
        return tf.matmul(features, rows, transpose_b=True) + self.biases

    def compute_output_shape(self, features_shape: tuple, rows_shape: tuple) -> tuple:
        """Returns the shape of the logits."""
        del rows_shape
        return features_shape[0], self._num_classes


def class_head(num_features: int, *, num_classes: int, make_rows: MakeRows, kinds: tuple[str, ...]) -> keras.Model:
    """Returns a model of [features `[N, F]`, all labels `[K]`] to logits `[N, kinds * K]`, those of a kind together.

    Arguments:
      num_features: F.
      num_classes: K.
      make_rows: of each kind.
      kinds: names of what images of a class may be, such as real and fake.
    """
    features = keras.Input((num_features,), name="features")
    labels = keras.Input((), dtype="int32", name="labels")
    logits = [
        ClassLogits(num_classes, name=f"{kind}_logits")(
            features, make_rows(num_classes, num_features, name=f"{kind}_rows")(labels)
        )
        for kind in kinds
    ]
    return keras.Model([features, labels], keras.layers.Concatenate()(logits) if len(kinds) > 1 else logits[0])
