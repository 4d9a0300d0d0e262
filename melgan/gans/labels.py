"""Sampling of labels for fake images, and of wrong labels for real ones; LABEL_SAMPLINGS table."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from melgan.training.randomness import Draws

# A class of n images is drawn in proportion to n ** exponent; None: a fake has the label of the real image beside it.
LABEL_SAMPLINGS: dict[str, float | None] = {"balanced": 0.0, "sqrt": 0.5, "real": 1.0, "paired": None}


def class_probabilities(class_counts: Sequence[int], label_sampling: str) -> np.ndarray | None:
    """Returns the probability of each class `[num_classes]`, 0 for one without images; None where none is drawn."""
    exponent = LABEL_SAMPLINGS[label_sampling]
    if exponent is None:
        return None
    counts = np.asarray(class_counts, dtype=np.float64)
    weights = np.where(counts > 0, np.maximum(counts, 1) ** exponent, 0.0)
    return weights / weights.sum()


def labels_of_fakes(draws: Draws, real_labels: tf.Tensor, probabilities: np.ndarray | None) -> tf.Tensor:
    """Returns labels `[B]` of fakes: drawn with the given probabilities, or the labels of the real images `[B]`."""
    return real_labels if probabilities is None else sample_labels(draws, probabilities)


def sample_labels(draws: Draws, probabilities: np.ndarray) -> tf.Tensor:
    """Returns labels int32 `[B]` drawn with the given probabilities `[num_classes]`."""
    inner_edges = np.cumsum(probabilities)[:-1].astype(np.float32)
    return tf.reduce_sum(tf.cast(draws.uniform(1) >= inner_edges, tf.int32), axis=1)


def wrong_labels(draws: Draws, labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Returns labels int32 `[B]` drawn evenly over the classes other than the right ones in `labels` `[B]`."""
    shift = 1 + tf.cast(draws.uniform() * (num_classes - 1), tf.int32)
    return (labels + tf.minimum(shift, num_classes - 1)) % num_classes
