"""Auxiliary targets: what the shards tell about a lesion beside its class, predicted as well while training.

With few images, age, sex, site and diagnosis teach a network features that the class alone does not (Caruana 1997,
"Multitask learning"). They are predicted from the image alone. What is missing, as it is for synthetic images, adds no
loss.
"""

from dataclasses import dataclass

import tensorflow as tf

from tfrecords_tools.foundation.metadata import AGE, CATEGORIES, MISSING

_AGES = (15.0, 85.0)

NUM_OUTPUTS = 1 + sum(len(category.codes) for category in CATEGORIES.values())


@dataclass(frozen=True)
class AuxiliaryTargets:
    """Targets in [0, 1] and which of them are known (1) or missing (0), both float `[N, NUM_OUTPUTS]`."""

    values: tf.Tensor
    known: tf.Tensor


def auxiliary_targets(batch: dict[str, tf.Tensor]) -> AuxiliaryTargets:
    """Returns the targets of a batch: age scaled to [0, 1], then one-hot sex, site and diagnosis."""
    values = [scaled_age(batch[AGE])[:, None]]
    known = [tf.cast(batch[AGE] >= 0, tf.float32)[:, None]]
    for name, category in CATEGORIES.items():
        codes, depth = batch[name], len(category.codes)
        if category.unknown:
            codes = tf.where(codes == category.encode(category.unknown), MISSING, codes)
        values.append(tf.one_hot(codes, depth))
        known.append(tf.repeat(tf.cast(codes >= 0, tf.float32)[:, None], depth, axis=1))
    return AuxiliaryTargets(tf.concat(values, axis=1), tf.concat(known, axis=1))


def scaled_age(age: tf.Tensor) -> tf.Tensor:
    """Returns ages in years `[N]`, cut off at 15 and 85, in [0, 1]."""
    low, high = _AGES
    return tf.clip_by_value((tf.cast(age, tf.float32) - low) / (high - low), 0.0, 1.0)


def auxiliary_losses(logits: tf.Tensor, targets: AuxiliaryTargets) -> tf.Tensor:
    """Returns the sum of the sigmoid cross-entropies of the known targets, per example `[N]`."""
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets.values, logits=logits)
    return tf.reduce_sum(losses * targets.known, axis=1)
