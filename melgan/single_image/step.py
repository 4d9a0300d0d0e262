"""The losses of a training step at one scale. Shaham et al. 2019, section 2.2, eq. 4 to 6.

Pure: weights, an image and random numbers in, numbers `[1]` by name out. The trainer differentiates and applies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import keras
import tensorflow as tf

from melgan.gans.objectives import OBJECTIVES
from melgan.single_image.stack import GeneratorStack
from melgan.training.randomness import Draws

Losses = dict[str, tf.Tensor]

_OBJECTIVE = OBJECTIVES["wasserstein"]


class Use(IntEnum):
    """Uses of random numbers in the step of either network."""

    NOISE = 1
    PENALTY = 2


def pixel_gradient_penalty(
    discriminate: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor, fake: tf.Tensor, draws: Draws
) -> tf.Tensor:
    """Returns the mean over pixels of (||H W grad|| - 1)^2 `[N]` at uniform mixes of images `[N, H, W, C]`.

    The norm of the gradient of the logits `[N]` is taken over the channels of every pixel, not over the image as in
    Gulrajani et al. 2017, eq. 3. So do the authors, in `calc_gradient_penalty` (github.com/tamarott/SinGAN,
    SinGAN/functions.py). They take the gradient of the sum of the map whose mean is the logit. The map has fewer pixels
    than the image, so that the smaller the image, the less their penalty holds the logit: at 25 px by a factor of 2.8,
    at 16 px of 7, where discriminators run away. Times the pixels of the image it holds all scales alike, and is theirs
    where images are large.
    """
    mixed = real + draws.uniform(1, 1, 1) * (fake - real)
    with tf.GradientTape() as tape:
        tape.watch(mixed)
        logits = discriminate(mixed)
    slopes = tape.gradient(logits, mixed) * (mixed.shape[1] * mixed.shape[2])
    # The small constant keeps the derivative of the root finite where the gradient is zero.
    norms = tf.sqrt(tf.reduce_sum(tf.square(slopes), axis=3) + 1e-12)
    return tf.reduce_mean(tf.square(norms - 1.0), axis=[1, 2])


@dataclass(frozen=True, kw_only=True)
class ScaleStep:
    """One scale in training.

    Attributes:
      stack: the generators of all scales.
      scale: the one that is trained; those below it only draw.
      discriminator: of this scale.
      real: the image at this scale `[1, S, S, C]`.
      below: its reconstruction by the scales below, enlarged to this one `[1, S, S, C]`.
    """

    stack: GeneratorStack
    scale: int
    discriminator: keras.Model
    real: tf.Variable
    below: tf.Variable

    @property
    def generator(self) -> keras.Model:
        """The generator of this scale."""
        return self.stack.generators[self.scale]

    def start(self, draws: Draws) -> tf.Tensor:
        """Returns an image of the scales below, enlarged to this one `[1, S, S, C]`, from fresh noise."""
        return self.stack.climb(self.stack.start(1), self._make_noise(draws), last=self.scale)

    def fake(self, draws: Draws) -> tf.Tensor:
        """Returns an image of this scale `[1, S, S, C]`, from fresh noise at all scales."""
        return self.stack.refine(self.scale, self.start(draws), self._noise(draws))

    def discriminator_losses(self, fake: tf.Tensor, draws: Draws) -> Losses:
        """Returns the losses of a discriminator step, beside a fake `[1, S, S, C]`."""
        real = self.real.read_value()
        real_logits, fake_logits = tf.split(self._logits(tf.concat([real, fake], axis=0)), 2)
        return {
            "discriminator_loss": _OBJECTIVE.discriminator(real_logits, fake_logits, None),
            "penalty": pixel_gradient_penalty(self._logits, real, fake, draws.fold(Use.PENALTY)),
        }

    def generator_losses(self, start: tf.Tensor, draws: Draws) -> Losses:
        """Returns the losses of a generator step.

        One pass makes a fake and the reconstruction, which do not see each other.

        Arguments:
          start: an image of the scales below, from `start` with the same random numbers.
          draws: random numbers of this step.
        """
        images = tf.concat([start, self.below.read_value()], axis=0)
        noise = tf.concat([self._noise(draws), self.stack.fixed_noise(self.scale)], axis=0)
        fake, reconstruction = tf.split(self.stack.refine(self.scale, images, noise), 2)
        error = tf.square(reconstruction - self.real.read_value())
        return {
            "generator_loss": _OBJECTIVE.generator(self._logits(fake), None),
            "reconstruction_loss": tf.reduce_mean(error, axis=[1, 2, 3]),
        }

    def _logits(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the mean of each image's map `[N]`."""
        return tf.reduce_mean(tf.cast(self.discriminator(images), images.dtype), axis=[1, 2, 3])

    def _make_noise(self, draws: Draws) -> Callable[[int, tuple[int, int, int]], tf.Tensor]:
        return lambda scale, shape: draws.fold(Use.NOISE).fold(scale).normal(*shape)

    def _noise(self, draws: Draws) -> tf.Tensor:
        return self._make_noise(draws)(self.scale, self.stack.noise_shape(self.scale))
