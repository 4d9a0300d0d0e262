"""The decay of moving averages of weights."""

import keras
import tensorflow as tf


def warmed_up_decay(decay: float, step: tf.Tensor) -> tf.Tensor:
    """Returns min(decay, (1 + step) / (10 + step)), so that a short training soon forgets where it started."""
    taken = tf.cast(step, keras.config.floatx())
    return tf.minimum(tf.cast(decay, taken.dtype), (1.0 + taken) / (10.0 + taken))
