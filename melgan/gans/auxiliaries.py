"""Auxiliary classifiers: a second head of the discriminator, which names classes; AUXILIARIES table.

Losses are per example. Logits are `[N, C]`, of K classes or, of K classes of real images and then of the same K of
fakes, `2 K`; labels `[N]` count the classes from 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Auxiliary:
    """A classifier beside the adversarial loss.

    `discriminator` takes (logits of real images, their labels, logits of fakes, their labels) and returns its loss
    `[N]`. `score` takes (logits, labels) and returns what the generator makes greater `[N]`. `kinds` are what the
    images of a class may be; each has its own rows of weights.
    """

    discriminator: Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
    score: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    kinds: tuple[str, ...]


def log_probability(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns log p(label | image) `[N]` of a softmax over the logits."""
    return _entry(tf.nn.log_softmax(logits), labels)


def log_ratio(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns log p(image, label) / q(image, label) `[N]`, p of real images and q of fakes, where logits are optimal.

    The difference of the two logits of a label: the normaliser of the softmax cancels. Hou et al. 2022, section 3.2.
    """
    real, fake = tf.split(logits, 2, axis=1)
    return _entry(real - fake, labels)


def adc_discriminator(
    real_logits: tf.Tensor, real_labels: tf.Tensor, fake_logits: tf.Tensor, fake_labels: tf.Tensor
) -> tf.Tensor:
    """-log p(label, real | real image) - log p(label, fake | fake). Hou et al. 2022, eq. 5."""
    num_classes = fake_logits.shape[1] // 2
    return -log_probability(real_logits, real_labels) - log_probability(fake_logits, num_classes + fake_labels)


def ac_discriminator(
    real_logits: tf.Tensor, real_labels: tf.Tensor, fake_logits: tf.Tensor, fake_labels: tf.Tensor
) -> tf.Tensor:
    """-log p(label | real image) - log p(label | fake). Odena et al. 2017, eq. 2."""
    return -log_probability(real_logits, real_labels) - log_probability(fake_logits, fake_labels)


def _entry(table: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the entry of each row of a table `[N, C]` that a label `[N]` counts to; no dynamic shapes."""
    return tf.reduce_sum(table * tf.one_hot(labels, table.shape[1], dtype=table.dtype), axis=1)


AUXILIARIES: dict[str, Auxiliary | None] = {
    "none": None,
    # Hou et al. 2022, "Conditional GANs with auxiliary discriminative classifier". https://arxiv.org/abs/2107.10060
    "adc": Auxiliary(adc_discriminator, log_ratio, kinds=("real", "fake")),
    # Odena et al. 2017, "Conditional image synthesis with auxiliary classifier GANs". https://arxiv.org/abs/1610.09585
    # Its classifier does not know what fakes are: the generator prefers images that no other class could have made.
    "ac": Auxiliary(ac_discriminator, log_probability, kinds=("any",)),
}
