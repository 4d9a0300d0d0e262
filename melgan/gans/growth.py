"""Growth of networks over the steps. Karras et al. 2018, appendix A.1, and the authors' code.

Phases alternate: the networks train at level 0, then level 1 fades in, then they train at level 1, and so on; the last
phase, at the last level, has no end. In the paper a phase lasts 600,000 images, 20 times the 30,000 of CelebA-HQ; here
it lasts as many times the images there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.config import GanConfig
from melgan.gans.fading import INNERMOST
from tfrecords_tools.foundation.errors import ConfigError


@dataclass(frozen=True)
class Growth:
    """The growth of networks: a function of the step and of nothing else.

    `num_levels` counts the resolutions; a phase lasts `phase_images` real images, 0: the networks are grown from the
    start; a step shows `images_per_step` of them to the discriminator.
    """

    num_levels: int
    phase_images: int
    images_per_step: int

    @property
    def first_grown_step(self) -> int:
        """The step from which on the networks have all levels."""
        return self._first_step(self._last_phase)

    def level(self, step: int) -> int:
        """Returns the level that a step trains, or fades in."""
        return (self._phase(step) + 1) // 2

    def resolution(self, step: int) -> int:
        """Returns the resolution of the level of a step, in pixels."""
        return INNERMOST * 2 ** self.level(step)

    def begins_phase(self, step: int) -> bool:
        """Returns whether a step is the first of a phase, but for the very first."""
        return step > 0 and self._phase(step) != self._phase(step - 1)

    def next_phase(self, step: int) -> int | None:
        """Returns the first step of the next phase, None if there is none."""
        phase = self._phase(step)
        return None if phase == self._last_phase else self._first_step(phase + 1)

    def degree(self, step: tf.Tensor) -> tf.Tensor:
        """Returns how far networks have grown at a step `[]`: k at level k, k + 0.25 with a quarter of level k + 1.

        Arguments:
          step: int64 `[]`.
        """
        dtype = keras.config.floatx()
        if not self.phase_images:
            return tf.constant(self.num_levels - 1, dtype)
        images = step * self.images_per_step
        phase = tf.minimum(images // self.phase_images, self._last_phase)
        fraction = tf.cast(images - phase * self.phase_images, dtype) / self.phase_images
        return tf.cast(phase // 2, dtype) + tf.where(phase % 2 == 1, fraction, tf.zeros_like(fraction))

    @property
    def _last_phase(self) -> int:
        return 2 * (self.num_levels - 1)

    def _phase(self, step: int) -> int:
        if not self.phase_images:
            return self._last_phase
        return min(step * self.images_per_step // self.phase_images, self._last_phase)

    def _first_step(self, phase: int) -> int:
        return -(-phase * self.phase_images // self.images_per_step)


def growth_of(config: GanConfig, class_counts: Sequence[int]) -> Growth:
    """Returns when the networks of a resolved config grow; those that do not have one level.

    Arguments:
      config: resolved.
      class_counts: real training images of each class `[num_classes]`.
    """
    phase_images = max(1, round(config.phase_epochs * sum(class_counts))) if config.phase_epochs else 0
    grows = ARCHITECTURES[config.architecture].grows
    num_levels = (config.image_size // INNERMOST).bit_length() if grows else 1
    return Growth(num_levels, phase_images, config.global_batch_size * config.disc_steps)


def require_grown(config: GanConfig, class_counts: Sequence[int], total_steps: int) -> None:
    """Raises ConfigError for a training that ends before networks that grow have their last resolution."""
    first = growth_of(config, class_counts).first_grown_step
    if total_steps <= first:
        half = config.phase_epochs * total_steps / first / 2
        raise ConfigError(
            f"total_steps is {total_steps}, but the networks grow to {config.image_size} px in {first}; give more, or "
            f"--phase_epochs={half:.2g}, with which they do in half of them"
        )
