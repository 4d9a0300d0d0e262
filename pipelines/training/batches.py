"""Batches for every worker and replica of a strategy."""

from collections.abc import Callable, Iterator

import tensorflow as tf

# (start_step, num_workers, worker, num_replicas), by name -> batches of one worker.
MakeBatches = Callable[..., tf.data.Dataset]


def distributed_batches(strategy: tf.distribute.Strategy, make_batches: MakeBatches, first_batch: int) -> Iterator:
    """Returns the endless stream of batches from a batch number on.

    Arguments:
      strategy: whose replicas share each batch.
      make_batches: `training_batches`, but for the arguments that tell the workers apart.
      first_batch: its number.
    """

    def for_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return make_batches(
            start_step=first_batch,
            num_workers=context.num_input_pipelines,
            worker=context.input_pipeline_id,
            num_replicas=context.num_replicas_in_sync,
        )

    if _is_one_processor(strategy):
        return iter(for_worker(tf.distribute.InputContext()))
    return iter(strategy.distribute_datasets_from_function(for_worker))


def _is_one_processor(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether there is no device to fetch batches to ahead of time.

    What fetches them has a thread that the end of the training would wait for, as long as the training took, up to a
    minute (TensorFlow 2.21: see `tfrecords_tools/reading.py`).
    """
    return (
        isinstance(strategy, tf.distribute.OneDeviceStrategy) and "CPU" in strategy.extended.worker_devices[0].upper()
    )
