"""Several steps in one call of the device, under a strategy: the same for every trainer.

Programs are traced with `autograph=False`: it would translate all Python that they reach, Keras among it, which costs
up to ten seconds at every start, and nothing here needs it.
"""

from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

# Metrics of a step by name, each `[]`: of one replica, or summed over all.
Metrics = dict[str, tf.Tensor]

# (batches, first step, number of steps) -> metrics of every step by name, `[number of steps]`.
Program = Callable[[Iterator, tf.Tensor, tf.Tensor], Metrics]


def make_program(
    strategy: tf.distribute.Strategy,
    replica_step: Callable[[list[dict[str, tf.Tensor]], tf.Tensor], Metrics],
    *,
    batches_per_step: int = 1,
    before_step: Callable[[tf.Tensor], None] = lambda step: None,
    after_step: Callable[[tf.Tensor, Metrics], None] = lambda step, metrics: None,
    after_steps: Callable[[Metrics], Metrics] = lambda metrics: metrics,
) -> Program:
    """Returns the compiled function that takes several steps one after another.

    Arguments:
      strategy: under which the steps are taken.
      replica_step: takes one step on a replica, from its part of the batches and the number of the step; returns the
        replica's part of each metric, which add up to the metric.
      batches_per_step: batches that a step takes.
      before_step: called outside of replicas with the number of each step.
      after_step: likewise, afterwards, with the metrics of the step.
      after_steps: called with the metrics of all steps, `[number of steps]`; returns what the program returns.
    """

    @tf.function(autograph=False)
    def take_steps(batches: Iterator, first: tf.Tensor, num_steps: tf.Tensor) -> Metrics:
        names: list[str] = []  # known once the first step is traced

        def take_step(number: tf.Tensor, history: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            step = first + number
            before_step(step)
            own_batches = [next(batches) for _ in range(batches_per_step)]
            parts = strategy.run(replica_step, args=(own_batches, step))
            names[:] = parts
            # One reduction over the replicas serves all metrics.
            stacked = strategy.run(lambda own_parts: tf.stack(list(own_parts.values())), args=(parts,))
            metrics = strategy.reduce(tf.distribute.ReduceOp.SUM, stacked, axis=None)
            after_step(step, dict(zip(names, tf.unstack(metrics), strict=True)))
            return number + 1, history.write(tf.cast(number, tf.int32), metrics)

        size = tf.cast(num_steps, tf.int32)
        history = tf.TensorArray(keras.config.floatx(), size=size, infer_shape=False)
        _, history = tf.while_loop(lambda number, _: number < num_steps, take_step, (tf.zeros_like(num_steps), history))
        columns = tf.unstack(tf.transpose(history.stack()), num=len(names))
        return after_steps(dict(zip(names, columns, strict=True)))

    return take_steps


def mean_metrics(parts: Sequence[Metrics]) -> Metrics:
    """Returns the mean of each metric over several parts of a step, which all have the same ones."""
    means = tf.add_n([tf.stack(list(part.values())) for part in parts]) / len(parts)
    return dict(zip(parts[0], tf.unstack(means), strict=True))


def with_roots(metrics: Metrics, names: Sequence[str]) -> Metrics:
    """Returns metrics with norms, by their names, where squares were summed over replicas."""
    return metrics | {name: tf.sqrt(metrics[name]) for name in names}
