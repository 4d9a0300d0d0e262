"""Moving averages of weights."""

from collections.abc import Sequence

import keras
import tensorflow as tf


def warmed_up_decay(decay: float, step: tf.Tensor) -> tf.Tensor:
    """Returns min(decay, (1 + step) / (10 + step)), so that a short training soon forgets where it started."""
    taken = tf.cast(step, keras.config.floatx())
    return tf.minimum(tf.cast(decay, taken.dtype), (1.0 + taken) / (10.0 + taken))


def update_average(
    averages: Sequence[keras.Variable], values: Sequence[keras.Variable], decay: tf.Tensor | float
) -> None:
    """Moves averages towards values: average <- decay average + (1 - decay) value, outside of replicas."""
    for average, value in zip(averages, values, strict=True):
        average.assign(decay * average.value + (1.0 - decay) * value.value)


def copy_values(targets: Sequence[keras.Variable], sources: Sequence[keras.Variable]) -> None:
    """Gives variables the values of others, outside of replicas."""
    for target, source in zip(targets, sources, strict=True):
        target.assign(source.value)
