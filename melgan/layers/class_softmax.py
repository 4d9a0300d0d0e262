"""A softmax over the classes and one more, "fake": the head of a discriminator that names the class itself."""

import keras
import tensorflow as tf


class ClassLogProbabilities(keras.layers.Layer):
    """log p(label | features), linear before the softmax; label `num_classes` stands for "fake".

    Mariani et al. 2018. The weights of the classes lie apart from the weights of "fake", one row a class, so that
    they can be carried over to other classes by name.
    """

    def __init__(self, num_classes: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._num_classes = num_classes

    def build(self, features_shape: tuple, labels_shape: tuple) -> None:
        """Creates the weights."""
        del labels_shape
        num_features = features_shape[-1]
        glorot = keras.initializers.RandomNormal((2.0 / (num_features + self._num_classes + 1)) ** 0.5)
        self.class_rows = self.add_weight((self._num_classes, num_features), glorot, name="class_rows")
        self.class_biases = self.add_weight((self._num_classes,), "zeros", name="class_biases")
        self.fake_row = self.add_weight((1, num_features), glorot, name="fake_row")
        self.fake_bias = self.add_weight((1,), "zeros", name="fake_bias")

    def call(self, features: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns `[N]` for features `[N, C]` and labels `[N]`, never in half precision."""
        rows = tf.concat([self.class_rows, self.fake_row], axis=0)
        biases = tf.concat([self.class_biases, self.fake_bias], axis=0)
        logits = tf.matmul(features, rows, transpose_b=True) + biases
        log_probabilities = tf.nn.log_softmax(tf.cast(logits, keras.config.floatx()))
        return tf.gather(log_probabilities, labels, batch_dims=1)
