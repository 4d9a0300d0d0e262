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
    mixed = real_images + draws.uniform(1, 1, 1) * (fake_images - real_images)
    return _squared_distance_from_unit_norm(discriminator, mixed, labels)


def dragan(
    discriminator: Discriminate, real_images: tf.Tensor, fake_images: tf.Tensor, labels: tf.Tensor, draws: Draws
) -> tf.Tensor:
    """(||grad D(x)|| - 1)^2 near real images: x = real + a s u / 2, with a and every element of u uniform in [0, 1).

    Kodali et al. 2017, algorithm 1, with the noise of the authors' code (github.com/kodalinaveen3/DRAGAN). There s is
    the standard deviation of the batch; here it is each image's own, so that the penalty is one of single examples.
    """
    del fake_images
    deviation = tf.math.reduce_std(real_images, axis=[1, 2, 3], keepdims=True)
    noise = 0.5 * deviation * draws.fold(0).uniform(*real_images.shape[1:])
    return _squared_distance_from_unit_norm(discriminator, real_images + draws.fold(1).uniform(1, 1, 1) * noise, labels)


def _squared_distance_from_unit_norm(discriminator: Discriminate, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns (||grad D(x)|| - 1)^2 `[N]`, the gradient by the images x."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = discriminator(images, labels)
    gradients = tape.gradient(logits, images)
    # The small constant keeps the derivative of the root finite where the gradient is zero.
    norms = tf.sqrt(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3]) + 1e-12)
    return tf.square(norms - 1.0)


PENALTIES: dict[str, Penalty] = {"none": no_penalty, "gradient_penalty": gradient_penalty, "dragan": dragan}
