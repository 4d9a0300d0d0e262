"""Random numbers that depend on (seed, step, use) and on the example's place in the global batch, on nothing else.

Every replica draws for the whole global batch and keeps its own slice, so that the numbers do not depend on how
many replicas share the batch. The draws are small (latents, labels, mixing weights); only DRAGAN and dropout draw as
much as images or features hold.
"""

from dataclasses import dataclass, replace

import keras
import tensorflow as tf


@dataclass(frozen=True)
class Draws:
    """The source of one replica's random numbers in one step.

    `seed` is an int32 tensor `[2]`; `replica_id` counts from 0; `batch_size` is the replica's, `num_replicas` times
    it the global one.
    """

    seed: tf.Tensor
    replica_id: tf.Tensor | int
    batch_size: int
    num_replicas: int

    def fold(self, data: tf.Tensor | int) -> "Draws":
        """Returns an independent source for a step or a use."""
        seed = tf.random.experimental.stateless_fold_in(self.seed, data)
        return replace(self, seed=seed)

    def normal(self, *shape: int) -> tf.Tensor:
        """Returns standard normal numbers `[B, *shape]`."""
        return self._own(
            tf.random.stateless_normal([self._global_batch_size, *shape], self.seed, dtype=keras.config.floatx())
        )

    def uniform(self, *shape: int) -> tf.Tensor:
        """Returns numbers `[B, *shape]` uniform in [0, 1)."""
        return self._own(
            tf.random.stateless_uniform([self._global_batch_size, *shape], self.seed, dtype=keras.config.floatx())
        )

    @property
    def _global_batch_size(self) -> int:
        return self.batch_size * self.num_replicas

    def _own(self, values: tf.Tensor) -> tf.Tensor:
        if self.num_replicas == 1:
            return values
        begin = [self.replica_id * self.batch_size] + [0] * (values.shape.rank - 1)
        return tf.slice(values, begin, [self.batch_size, *values.shape[1:]])
