"""Gradient penalties, per example; PENALTIES table.

Each takes (discriminator, shown, draws): a function from images `[N, H, W, C]` and labels `[N]` to logits `[N]`, what
it is shown, and random numbers. Each returns `[N]`.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import tensorflow as tf

from melgan.training.randomness import Draws

Discriminate = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class RealAndFake(NamedTuple):
    """Images that a discriminator is shown in a step, `[N, H, W, C]` in [-1, 1], each with their labels `[N]`.

    `low_fakes` are the small images `[N, S, S, 3]` that a `LowGenerator` makes beside the fakes.
    """

    real_images: tf.Tensor
    real_labels: tf.Tensor
    fake_images: tf.Tensor
    fake_labels: tf.Tensor
    low_fakes: tf.Tensor | None = None


class DraganUse(IntEnum):
    """Uses of random numbers in DRAGAN's penalty."""

    NOISE = 0
    DISTANCE = 1


Penalty = Callable[[Discriminate, RealAndFake, Draws], tf.Tensor]


def no_penalty(discriminator: Discriminate, shown: RealAndFake, draws: Draws) -> tf.Tensor:
    """Zero for every example."""
    del discriminator, draws
    return tf.zeros_like(shown.real_images[:, 0, 0, 0])


def gradient_penalty(discriminator: Discriminate, shown: RealAndFake, draws: Draws) -> tf.Tensor:
    """(||grad D(x)|| - 1)^2 at uniform mixes x of real and fake. Gulrajani et al. 2017, eq. 3 and algorithm 1."""
    mixed = shown.real_images + draws.uniform(1, 1, 1) * (shown.fake_images - shown.real_images)
    return _squared_distance_from_unit_norm(discriminator, mixed, shown.real_labels)


def dragan(discriminator: Discriminate, shown: RealAndFake, draws: Draws) -> tf.Tensor:
    """(||grad D(x)|| - 1)^2 near real images: x = real + a s u / 2, with a and every element of u uniform in [0, 1).

    Kodali et al. 2017, algorithm 1, with the noise of the authors' code (github.com/kodalinaveen3/DRAGAN). There s is
    the standard deviation of the batch; here it is each image's own, so that the penalty is one of single examples.
    """
    deviation = tf.math.reduce_std(shown.real_images, axis=[1, 2, 3], keepdims=True)
    noise = 0.5 * deviation * draws.fold(DraganUse.NOISE).uniform(*shown.real_images.shape[1:])
    places = shown.real_images + draws.fold(DraganUse.DISTANCE).uniform(1, 1, 1) * noise
    return _squared_distance_from_unit_norm(discriminator, places, shown.real_labels)


def r1_r2(discriminator: Discriminate, shown: RealAndFake, draws: Draws) -> tf.Tensor:
    """(||grad D(real)||^2 + ||grad D(fake)||^2) / 2, so that the weight is gamma. Huang et al. 2024, section 2.

    R1 and R2 of Mescheder et al. 2018, eq. 9 and 10, which have the half as well.
    """
    del draws
    real = _squared_norm(discriminator, shown.real_images, shown.real_labels)
    return 0.5 * (real + _squared_norm(discriminator, shown.fake_images, shown.fake_labels))


def _squared_distance_from_unit_norm(discriminator: Discriminate, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns (||grad D(x)|| - 1)^2 `[N]`, the gradient by the images x."""
    # The small constant keeps the derivative of the root finite where the gradient is zero.
    return tf.square(tf.sqrt(_squared_norm(discriminator, images, labels) + 1e-12) - 1.0)


def _squared_norm(discriminator: Discriminate, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns ||grad D(x)||^2 `[N]`, the gradient by the images x."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = discriminator(images, labels)
    return tf.reduce_sum(tf.square(tape.gradient(logits, images)), axis=[1, 2, 3])


PENALTIES: dict[str, Penalty] = {
    "none": no_penalty,
    "gradient_penalty": gradient_penalty,
    "dragan": dragan,
    "r1_r2": r1_r2,
}
