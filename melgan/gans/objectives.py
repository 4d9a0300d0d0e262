"""Adversarial losses, per example; the trainer reduces them. OBJECTIVES table."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Objective:
    """A pair of losses on logits `[N]`, each returning one value per example `[N]`.

    `discriminator` takes (real_logits, fake_logits, wrong_label_logits); the last, of real images shown with a wrong
    label, is None where the method has none. `generator` takes (fake_logits, real_logits); the latter is None unless
    `needs_real_logits`, which relativistic losses set. `takes_wrong_labels` says whether there is a place for wrong
    labels, and `needs_penalty` whether the discriminator could lower its loss without end if nothing held it.

    With `has_fake_class` logits are log p(label | image) of a softmax over the classes and one more, "fake", and losses
    are linear in them. The discriminator is shown fakes with the label "fake", and the trainer divides their logits by
    the number of classes: fakes weigh as much as the images of one class, not as the images of all together.
    """

    discriminator: Callable[[tf.Tensor, tf.Tensor, tf.Tensor | None], tf.Tensor]
    generator: Callable[[tf.Tensor, tf.Tensor | None], tf.Tensor]
    needs_real_logits: bool = False
    takes_wrong_labels: bool = True
    needs_penalty: bool = False
    has_fake_class: bool = False


def sigmoid_cross_entropy_discriminator(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, wrong_label_logits: tf.Tensor | None
) -> tf.Tensor:
    """-log s(real) - log(1 - s(fake)) [- log(1 - s(wrong label))], s the sigmoid.

    Goodfellow et al. 2014, eq. 1; the term for wrong labels: Huang and Jafari 2021, as Reed et al. 2016, algorithm 1.
    """
    loss = tf.nn.softplus(-real_logits) + tf.nn.softplus(fake_logits)
    return loss if wrong_label_logits is None else loss + tf.nn.softplus(wrong_label_logits)


def sigmoid_cross_entropy_generator(fake_logits: tf.Tensor, real_logits: tf.Tensor | None) -> tf.Tensor:
    """-log s(fake), the non-saturating loss. Goodfellow et al. 2014, section 3."""
    del real_logits
    return tf.nn.softplus(-fake_logits)


def linear_generator(fake_logits: tf.Tensor, real_logits: tf.Tensor | None) -> tf.Tensor:
    """-D(fake).

    Of the Wasserstein distance: Gulrajani et al. 2017, algorithm 1. With the hinge: Zhang et al. 2018, eq. 4. Where
    logits are log p(label | image), the cross-entropy to the class that was asked for: Mariani et al. 2018.
    """
    del real_logits
    return -fake_logits


def wasserstein_discriminator(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, wrong_label_logits: tf.Tensor | None
) -> tf.Tensor:
    """D(fake) - D(real), whose mean is minus the estimated distance. Gulrajani et al. 2017, eq. 3 without penalty."""
    del wrong_label_logits  # a distance is between two sets; a third has no place in it
    return fake_logits - real_logits


def wasserstein_drift_discriminator(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, wrong_label_logits: tf.Tensor | None
) -> tf.Tensor:
    """D(fake) - D(real) + 0.001 D(real)^2, so that logits do not drift away. Karras et al. 2018, appendix A.1."""
    loss = wasserstein_discriminator(real_logits, fake_logits, wrong_label_logits)
    return loss + 0.001 * tf.square(real_logits)


def hinge_discriminator(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, wrong_label_logits: tf.Tensor | None
) -> tf.Tensor:
    """max(0, 1 - D(real)) + max(0, 1 + D(fake)) [+ max(0, 1 + D(wrong label))]. Zhang et al. 2018, eq. 4."""
    loss = tf.nn.relu(1.0 - real_logits) + tf.nn.relu(1.0 + fake_logits)
    return loss if wrong_label_logits is None else loss + tf.nn.relu(1.0 + wrong_label_logits)


def softmax_cross_entropy_discriminator(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, wrong_label_logits: tf.Tensor | None
) -> tf.Tensor:
    """-log p(label | real) - log p("fake" | fake). Mariani et al. 2018."""
    del wrong_label_logits  # every class that is not an image's own is a wrong label already
    return -real_logits - fake_logits


def relativistic_discriminator(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, wrong_label_logits: tf.Tensor | None
) -> tf.Tensor:
    """-log s(D(real) - D(fake)), of the pairs that stand beside each other. Huang et al. 2024, section 2.

    After Jolicoeur-Martineau 2018, "The relativistic discriminator: a key element missing from standard GAN".
    """
    del wrong_label_logits  # pairs have two sides
    return tf.nn.softplus(fake_logits - real_logits)


def relativistic_generator(fake_logits: tf.Tensor, real_logits: tf.Tensor | None) -> tf.Tensor:
    """-log s(D(fake) - D(real)), of the same pairs. Huang et al. 2024, section 2."""
    return tf.nn.softplus(real_logits - fake_logits)


OBJECTIVES: dict[str, Objective] = {
    "sigmoid_cross_entropy": Objective(sigmoid_cross_entropy_discriminator, sigmoid_cross_entropy_generator),
    "wasserstein": Objective(wasserstein_discriminator, linear_generator, takes_wrong_labels=False, needs_penalty=True),
    "wasserstein_drift": Objective(
        wasserstein_drift_discriminator, linear_generator, takes_wrong_labels=False, needs_penalty=True
    ),
    "hinge": Objective(hinge_discriminator, linear_generator),
    "softmax_cross_entropy": Objective(
        softmax_cross_entropy_discriminator,
        linear_generator,
        takes_wrong_labels=False,
        has_fake_class=True,
    ),
    "relativistic": Objective(
        relativistic_discriminator, relativistic_generator, needs_real_logits=True, takes_wrong_labels=False
    ),
}
