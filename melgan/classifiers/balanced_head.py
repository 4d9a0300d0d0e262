"""A second head on the same features, for which every class weighs the same. Lee et al. 2021, "ABC".

Published, images are left out of its loss at random, the more often the more frequent their class is. Here each counts
by the probability with which it would stay in: the same on average, and no batch without an image.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_CONFIDENCE = 0.95  # section 3.3


def class_ratios(class_counts: Sequence[float]) -> np.ndarray:
    """Returns images of the rarest class for one of each class `[C]`, in (0, 1]; 0 for a class without images."""
    counts = np.asarray(class_counts, np.float32)
    return np.divide(counts[counts > 0].min(), counts, out=np.zeros_like(counts), where=counts > 0)


def labelled_weights(targets: tf.Tensor, ratios: np.ndarray) -> tf.Tensor:
    """Returns what labelled images count `[N]`, by their targets `[N, C]` and `class_ratios`. Eq. 2."""
    return tf.linalg.matvec(targets, tf.constant(ratios, targets.dtype))


def with_balanced_targets(batch: dict[str, tf.Tensor], ratios: np.ndarray) -> dict[str, tf.Tensor]:
    """Returns a batch of labelled images with what they are to this head: `balanced_targets` and `balanced_weight`."""
    targets = batch["targets"]
    return batch | {"balanced_targets": targets, "balanced_weight": labelled_weights(targets, ratios)}


def unlabelled_weights(guesses: tf.Tensor, ratios: np.ndarray, progress: tf.Tensor) -> tf.Tensor:
    """Returns what unlabelled images count `[N]`: all that are sure at first, and in the end as labelled ones. Eq. 4.

    Arguments:
      guesses: probabilities `[N, C]`.
      ratios: see `class_ratios`.
      progress: of the training, from 0 to 1.
    """
    guessed = tf.one_hot(tf.argmax(guesses, axis=1), guesses.shape[1], dtype=guesses.dtype)
    is_sure = tf.cast(tf.reduce_max(guesses, axis=1) > _CONFIDENCE, guesses.dtype)
    return is_sure * (1 - progress * (1 - labelled_weights(guessed, ratios)))
