"""Settings that change over the first images of a training, its burn-in, or over its last steps.

The form of the former, half a cosine over the images seen, comes from the authors' code of Huang et al. 2024
(github.com/brownvc/R3GAN, training/training_loop.py).
"""

import math

import keras
import tensorflow as tf

from melgan.training.averaging import warmed_up_decay


def progress(fraction: tf.Tensor) -> tf.Tensor:
    """Returns how far settings have come `[]`, from 0 to 1, when a fraction `[]` of the burn-in, 0 or more, is over."""
    return 0.5 - 0.5 * tf.cos(math.pi * tf.minimum(fraction, 1.0))


def decay_of_half_life(decay: float, progress: tf.Tensor) -> tf.Tensor:
    """Returns the decay `[]` of an average whose half-life is `progress` `[]` times the half-life of `decay`."""
    return tf.cast(decay, progress.dtype) ** (1.0 / tf.maximum(progress, 1e-8))


def linear_decay(step: tf.Tensor | int, total_steps: int, decay_from: float) -> tf.Tensor:
    """Returns the factor `[]` of a learning rate at a step: 1 up to a fraction of all steps, then linearly towards 0.

    Zhu et al. 2017, "Unpaired image-to-image translation", section 7.1. The last step has still a rate.

    Arguments:
      step: its number, from 0 on.
      total_steps: how many there are.
      decay_from: the fraction of them; 1: no decay.
    """
    left = (total_steps - tf.cast(step, keras.config.floatx())) / total_steps
    return tf.minimum(left / max(1.0 - decay_from, 1.0 / total_steps), 1.0)


class Schedules:
    """Settings that change from step to step during the burn-in, and then stay. Made in the scope of the strategy.

    Arguments:
      burn_in_images: real images of the burn-in; 0 where there is none.
      images_per_step: real images of a step, by which the burn-in is measured.
    """

    def __init__(self, burn_in_images: float, images_per_step: int) -> None:
        self._burn_in_images, self._images_per_step = burn_in_images, images_per_step
        self._changing: list[tuple[tf.Variable, float, float]] = []

    def setting(self, first: float, last: float | None) -> float | tf.Variable:
        """Returns a setting: its first value for ever, or a variable on its way to the last one if there is one."""
        if last is None:
            return first
        aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
        variable = tf.Variable(first, dtype=keras.config.floatx(), trainable=False, aggregation=aggregation)
        self._changing.append((variable, first, last))
        return variable

    def set_for(self, step: tf.Tensor | int) -> None:
        """Gives the variables their values for a step, outside of replicas."""
        for variable, first, last in self._changing:
            variable.assign(first + (last - first) * self._progress(step))

    def average_decay(self, decay: float, step: tf.Tensor | int) -> tf.Tensor:
        """Returns the decay of a moving average at a step `[]`, which grows to the given one.

        Over a burn-in its half-life grows from zero on. Where a burn-in is so short that it would soon outlast all
        steps taken so far, it is bounded as without one.
        """
        warmed_up = warmed_up_decay(decay, step)
        if not self._burn_in_images:
            return warmed_up
        return tf.minimum(decay_of_half_life(decay, self._progress(step)), warmed_up)

    def _progress(self, step: tf.Tensor | int) -> tf.Tensor:
        images_seen = tf.cast(step, keras.config.floatx()) * self._images_per_step
        return progress(images_seen / self._burn_in_images)
