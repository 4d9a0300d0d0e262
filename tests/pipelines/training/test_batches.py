"""Batches reach replicas through the strategy, or straight where there is one processor, with no device to fetch to."""

import numpy as np
import tensorflow as tf

from melgan.training.distribution import make_strategy
from pipelines.training.batches import distributed_batches


def numbers(*, start_step: int, num_workers: int, worker: int, num_replicas: int) -> tf.data.Dataset:
    assert (num_workers, worker, num_replicas) == (1, 0, 1)
    return tf.data.Dataset.range(start_step, tf.int64.max).batch(4)


def test_a_processor_reads_the_batches_themselves_which_are_those_of_the_strategy():
    strategy = make_strategy("one_device")
    batches = distributed_batches(strategy, numbers, 8)
    assert isinstance(batches, tf.data.Iterator)  # of none of the strategy's threads

    def for_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return numbers(start_step=8, num_workers=context.num_input_pipelines, worker=0, num_replicas=1)

    distributed = iter(strategy.distribute_datasets_from_function(for_worker))
    assert not isinstance(distributed, tf.data.Iterator)
    for _ in range(3):
        np.testing.assert_array_equal(next(batches).numpy(), next(distributed).numpy())
