"""Moving averages of each class apart, which learn as much from one replica with all examples as from several."""

import keras
import tensorflow as tf


class ClassAverages:
    """Moving averages of vectors, for each class over its own examples.

    Sums and counts of examples decay from step to step, an average is one over the other: right from the first example
    on, and not moved by steps in which a class does not occur.

    Arguments:
      num_classes: K.
      size: D, length of the vectors.
      decay: of sums and counts per step.
      name: of the variables.
    """

    def __init__(self, num_classes: int, size: int, *, decay: float, name: str) -> None:
        self._num_classes, self._decay = num_classes, decay
        shape = (num_classes, size + 1)
        # The last column are the counts.
        self.sums = keras.Variable("zeros", shape, keras.config.floatx(), trainable=False, name=name)

    @property
    def counts(self) -> tf.Tensor:
        """How many examples of each class are remembered `[K]`, less for the older ones; 0 before the first."""
        return self.sums.value[:, -1]

    @property
    def means(self) -> tf.Tensor:
        """The averages `[K, D]`; 0 of a class without examples."""
        return tf.math.divide_no_nan(self.sums.value[:, :-1], self.sums.value[:, -1:])

    def sums_of(self, labels: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
        """Returns what `add` takes `[K, D + 1]`, of examples with labels `[N]` and vectors `[N, D]`."""
        vectors = tf.stop_gradient(vectors)
        columns = tf.concat([vectors, tf.ones_like(vectors[:, :1])], axis=1)
        return tf.matmul(tf.one_hot(labels, self._num_classes, dtype=columns.dtype), columns, transpose_a=True)

    def add(self, sums: tf.Tensor) -> None:
        """Moves the averages, in replica context, by the sums of a step's examples over all replicas."""
        sums = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, sums)
        # Logits that overflow in float16 end in a step that is left out; they must not stay for ever here.
        finite = tf.reduce_all(tf.math.is_finite(sums))
        moved = self._decay * self.sums.value + (1.0 - self._decay) * sums
        self.sums.assign(tf.where(finite, moved, self.sums.value))


def of_labels(table: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the entries of a table `[K]` for labels `[N]`; no gradient goes through."""
    return tf.gather(tf.stop_gradient(table), labels)
