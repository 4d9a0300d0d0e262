"""One replica's part of a global batch: its number, its part of a mean, its gradients."""

from collections.abc import Sequence

import keras
import tensorflow as tf


def current_replica() -> tf.Tensor | int:
    """Returns the number of the replica in whose context this is called, 0 outside of replicas."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def part_of_mean(per_example: tf.Tensor, global_batch_size: int) -> tf.Tensor:
    """Returns this replica's part `[]` of the mean over the global batch, from values of its examples `[B]`.

    Optimizers sum gradients over replicas, so the parts of all replicas add up to the mean.
    """
    return tf.reduce_sum(per_example) / global_batch_size


def dense_gradients(tape: tf.GradientTape, loss: tf.Tensor, variables: Sequence[keras.Variable]) -> list[tf.Tensor]:
    """Returns the gradients of a loss, all of them dense, those of embeddings too.

    A sparse one has a row for every example, and the Adam of Keras 3 squares rows before it sums those of one label.
    """
    return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
