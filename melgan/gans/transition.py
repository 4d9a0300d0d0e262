"""From a GAN without classes to one with them, over the steps.

Shahbazi et al. 2022, "Collapse by conditioning: training class-conditional GANs with limited data", section 4. With
few images the labels themselves can make a GAN collapse that learns all images together well. So it begins with these,
and the class comes in on a straight line. https://arxiv.org/abs/2201.06578
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from melgan.gans.config import GanConfig
from tfrecords_tools.foundation.errors import ConfigError


@dataclass(frozen=True)
class Transition:
    """The fraction of the class: 0 for the first `first_images` real images, 1 from `last_images` on.

    A function of the step alone. A step shows `images_per_step` real images to the discriminator.
    """

    first_images: float
    last_images: float
    images_per_step: int

    def fraction(self, step: tf.Tensor | int) -> tf.Tensor:
        """Returns the fraction at a step `[]`."""
        images = tf.cast(step, keras.config.floatx()) * self.images_per_step
        if self.first_images == self.last_images:
            return tf.cast(images >= self.last_images, images.dtype)
        return tf.clip_by_value((images - self.first_images) / (self.last_images - self.first_images), 0.0, 1.0)


def transition_of(config: GanConfig, class_counts: Sequence[int]) -> Transition | None:
    """Returns how the class comes in, None where it is there from the first step.

    Arguments:
      config: resolved.
      class_counts: real training images of each class `[num_classes]`.
    """
    if config.conditional_until_epochs is None:
        return None
    images = sum(class_counts)
    first, last = (config.conditional_from_epochs or 0.0) * images, config.conditional_until_epochs * images
    return Transition(first, last, config.global_batch_size * config.disc_steps)


def require_transition_that_ends(config: GanConfig, class_counts: Sequence[int], total_steps: int) -> None:
    """Raises ConfigError for a training that ends before the class counts wholly."""
    transition = transition_of(config, class_counts)
    if transition is not None and total_steps * transition.images_per_step <= transition.last_images:
        passes = total_steps * transition.images_per_step / sum(class_counts)
        raise ConfigError(
            f"total_steps is {total_steps}, {passes:.4g} passes over the images, but the class counts wholly after "
            f"{config.conditional_until_epochs:g}; give more steps, or --conditional_from_epochs={0.08 * passes:.4g} "
            f"--conditional_until_epochs={0.16 * passes:.4g}, the published fractions of a run"
        )
