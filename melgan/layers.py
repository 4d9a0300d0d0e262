"""What the networks share and Keras lacks."""

import keras
import tensorflow as tf


def batch_normalization(name: str) -> keras.layers.BatchNormalization:
    """Returns batch normalisation whose statistics are those of the global batch under the current strategy.

    Unsynchronised, the replicas' statistics drift apart and only those of the first are saved.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return keras.layers.BatchNormalization(synchronized=replicas > 1, name=name)


def scaled_filters(filters: int, width: float) -> int:
    """Returns a number of filters scaled by `width`, at least 4."""
    return max(4, round(filters * width))
