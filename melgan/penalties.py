"""Gradient penalties, per example; PENALTIES table.

Each takes (discriminator, real_images, fake_images, labels, draws): a function from images `[N, H, W, C]` and labels
`[N]` to logits `[N]`; images in [-1, 1]; the labels of the real images; and random numbers. Each returns `[N]`.
"""

from collections.abc import Callable

import tensorflow as tf

from melgan.randomness import Draws

Discriminate = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Penalty = Callable[[Discriminate, tf.Tensor, tf.Tensor, tf.Tensor, Draws], tf.Tensor]


def no_penalty(
    discriminator: Discriminate, real_images: tf.Tensor, fake_images: tf.Tensor, labels: tf.Tensor, draws: Draws
) -> tf.Tensor:
    """Zero for every example."""
    del discriminator, fake_images, labels, draws
    return tf.zeros_like(real_images[:, 0, 0, 0])


def gradient_penalty(
    discriminator: Discriminate, real_images: tf.Tensor, fake_images: tf.Tensor, labels: tf.Tensor, draws: Draws
) -> tf.Tensor:
    """(||grad D(x)|| - 1)^2 at uniform mixes x of real and fake. Gulrajani et al. 2017, eq. 3 and algorithm 1."""
    share = draws.uniform(1, 1, 1)
    mixed = real_images + share * (fake_images - real_images)
    with tf.GradientTape() as tape:
        tape.watch(mixed)
        logits = discriminator(mixed, labels)
    gradients = tape.gradient(logits, mixed)
    # The small constant keeps the derivative of the root finite where the gradient is zero.
    norms = tf.sqrt(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3]) + 1e-12)
    return tf.square(norms - 1.0)


PENALTIES: dict[str, Penalty] = {"none": no_penalty, "gradient_penalty": gradient_penalty}
