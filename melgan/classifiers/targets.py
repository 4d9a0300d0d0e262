"""Targets of a classifier: what an image should be taken for, and how much it counts."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def smoothed(targets: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Returns targets `[B, C]`, a fraction of them spread evenly over the classes. Szegedy et al. 2016, section 7."""
    return targets * (1 - smoothing) + smoothing / targets.shape[-1]


def balancing_weights(class_counts: Sequence[float], class_balance: float) -> np.ndarray:
    """Returns a loss factor per class `[num_classes]`, n ** -class_balance, of mean 1 over the images.

    Arguments:
      class_counts: images of each class `[num_classes]` in what is shown, in any unit.
      class_balance: from 0, for equal factors, to 1, for classes that weigh the same.
    """
    counts = np.asarray(class_counts, np.float64)
    weights = np.power(counts, -class_balance, out=np.zeros_like(counts), where=counts > 0)
    return weights * counts.sum() / (weights * counts).sum()


def class_losses(logits: tf.Tensor, targets: tf.Tensor, class_weights: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Returns softmax cross-entropies `[B]`; an image without a target, a row of zeros, has none.

    Arguments:
      logits: `[B, C]`.
      targets: probabilities of the classes `[B, C]`, hard or soft.
      class_weights: `[C]`, what the loss of each class counts.
      smoothing: see `smoothed`.
    """
    losses = tf.nn.softmax_cross_entropy_with_logits(labels=smoothed(targets, smoothing), logits=logits)
    return losses * tf.reduce_sum(targets * class_weights, axis=1)
