"""Random numbers that depend on (seed, step, use) and on the example's place in the global batch, on nothing else.

Every replica draws for the whole global batch and keeps its own slice, so that the numbers do not depend on how many
replicas share the batch. The draws are small (latents, labels, mixing weights); only DRAGAN and dropout draw as much as
images or features hold.

Each use has a number, by which its seed differs from the others. Where a module draws for several uses it
names them in an `IntEnum`. The numbers decide the results of a seed: a new use takes a new number.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

import keras
import tensorflow as tf

from melgan.training.replica import current_replica


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

    def fold(self, use: "IntEnum | int | tf.Tensor") -> "Draws":
        """Returns an independent source for a use, or a step."""
        number = int(use) if isinstance(use, IntEnum) else use
        return replace(self, seed=tf.random.experimental.stateless_fold_in(self.seed, number))

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


def draws_of_step(seed: tf.Tensor, step: tf.Tensor | int, *, global_batch_size: int, num_replicas: int) -> Draws:
    """Returns the random numbers of a step, for the replica in whose context this is called.

    Arguments:
      seed: int32 `[2]`, of the training and of its attempt.
      step: its number.
      global_batch_size: examples over all replicas.
      num_replicas: how many share them.
    """
    draws = Draws(seed, current_replica(), global_batch_size // num_replicas, num_replicas)
    return draws.fold(tf.cast(step, tf.int64))  # the numbers differ between types of integers
