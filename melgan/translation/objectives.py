"""Adversarial losses of translators, with the interface of those of GANs: OBJECTIVES table.

The least squares of Mao et al. 2017 are no objective of the GANs: no method of those has them.
"""

import tensorflow as tf

from melgan.gans import objectives
from melgan.gans.objectives import Objective


def least_squares_discriminator(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, wrong_label_logits: tf.Tensor | None
) -> tf.Tensor:
    """(real - 1/2)^2 + (fake + 1/2)^2. Mao et al. 2017, eq. 9, there with targets 1 and 0.

    Logits are the published outputs less 1/2, a matter of the last bias, so that their sign tells what an image is
    taken for. Translators have no wrong labels.
    """
    del wrong_label_logits
    return tf.square(real_logits - 0.5) + tf.square(fake_logits + 0.5)


def least_squares_generator(fake_logits: tf.Tensor, real_logits: tf.Tensor | None) -> tf.Tensor:
    """(fake - 1/2)^2, likewise. Mao et al. 2017, eq. 9."""
    del real_logits
    return tf.square(fake_logits - 0.5)


OBJECTIVES: dict[str, Objective] = {
    "least_squares": Objective(least_squares_discriminator, least_squares_generator, takes_wrong_labels=False),
    "sigmoid_cross_entropy": objectives.OBJECTIVES["sigmoid_cross_entropy"],
}
