"""The losses of one training step of a conditional GAN: the page to read first.

A discriminator step shows real images and fakes to the discriminator, a generator step shows it fakes. Losses are per
example `[B]`, by name, and pure: weights, images and random numbers in, numbers out. The trainer (`trainer.py`)
averages them over the global batch, differentiates and applies.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from melgan.gans.architectures.networks import Discriminator, LowGenerator
from melgan.gans.augmentations import Augmentation
from melgan.gans.auxiliaries import Auxiliary
from melgan.gans.fading import at_level
from melgan.gans.labels import labels_of_fakes, wrong_labels
from melgan.gans.objectives import Objective
from melgan.gans.penalties import Discriminate, Penalty, RealAndFake
from melgan.gans.regularisers.interface import DiscriminatorPass, GeneratorPass, Regulariser, Sums
from melgan.images import to_signed_float
from melgan.layers.box_map import rasterise
from melgan.layers.box_table import BoxTable
from melgan.training.randomness import Draws

Losses = dict[str, tf.Tensor]


class StepLosses(NamedTuple):
    """Losses of a step by name, per example `[B]`, and what the regulariser is to learn from the step."""

    losses: Losses
    found: Sums


class Fakes(NamedTuple):
    """Fakes as they are shown, never in half precision, their labels `[B]`, and small ones, where there are such."""

    images: tf.Tensor
    labels: tf.Tensor
    low_images: tf.Tensor | None


class Use(IntEnum):
    """Uses of random numbers in the step of either network."""

    FAKE_LABELS = 1
    LATENTS = 2
    WRONG_LABELS = 3
    PENALTY = 4
    REAL_AUGMENTATION = 5
    FAKE_AUGMENTATION = 6
    REAL_DROPOUT = 7
    FAKE_DROPOUT = 8
    PENALTY_DROPOUT = 9
    REGULARISER = 10


@dataclass(frozen=True)
class Logits:
    """Logits `[B]` of the discriminator.

    `wrong_label` belong to real images shown with a wrong label, None where the method has none. `taken_for_real` is
    positive where a real image is taken for real.
    """

    real: tf.Tensor
    fake: tf.Tensor
    wrong_label: tf.Tensor | None
    taken_for_real: tf.Tensor


@dataclass(frozen=True, kw_only=True)
class GanStep:
    """The networks of a GAN and the choices that make its losses.

    Fakes have labels drawn with `label_probabilities` `[num_classes]`; None: they have the labels of the real images.
    `strength` `[]` in [0, 1] belongs to an adaptive augmentation. `level` is the one that growing networks train, None
    for others. `box_table` belongs to a generator that is told of boxes. `conditional_fraction` `[]` is how far
    the class counts. A generator step changes `generator_variables`.
    """

    generator: keras.Model
    generator_variables: list
    low_generator: LowGenerator | None
    discriminator: Discriminator
    box_table: BoxTable | None
    level: int | None
    num_classes: int
    latent_dim: int
    objective: Objective
    penalty: Penalty
    regulariser: Regulariser
    auxiliary: Auxiliary | None
    auxiliary_weight: float
    unconditional_weight: float | None
    conditional_fraction: tf.Variable
    augmentation: Augmentation
    strength: tf.Variable
    label_probabilities: np.ndarray | None
    has_wrong_labels: bool

    def as_shown(self, batch: dict[str, tf.Tensor], degree: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns a batch of real images as the discriminator is shown them.

        They are in [-1, 1], of no more detail than growing networks have, `[B, H, W, 3]` or, where boxes are taken,
        with their map as the fourth channel.

        Arguments:
          batch: `image` uint8 `[B, H, W, 3]` and, where they are taken, `boxes` `[B, M, 4]`.
          degree: how far networks have grown `[]`, from `Growth.degree`.
        """
        images = to_signed_float(batch["image"])
        if self.level is not None:
            images = at_level(images, self.level, degree)
        if self.box_table is not None:
            images = _with_map(images, batch["boxes"])
        return batch | {"image": images}

    def generate(self, real_labels: tf.Tensor, draws: Draws) -> Fakes:
        """Returns fakes.

        Arguments:
          real_labels: `[B]`, of the real images beside the fakes; they count for `paired` labels only.
          draws: random numbers of this step.
        """
        return self._fakes_with_labels(*self._latents_and_labels(real_labels, draws))

    def discriminator_losses(self, shown: RealAndFake, draws: Draws, *, penalised: bool = True) -> StepLosses:
        """Returns the losses of a discriminator step, and the sign of what real images are taken for.

        Arguments:
          shown: real images and fakes with their labels.
          draws: random numbers of this step.
          penalised: whether the penalty is due; otherwise it is zero.
        """
        low_images = self._low(shown.real_images), shown.low_fakes  # not augmented
        shown = self._augmented(shown, draws)
        real_features = self.discriminator.with_dropout(draws.fold(Use.REAL_DROPOUT)).features(shown.real_images)
        fake_features = self.discriminator.with_dropout(draws.fold(Use.FAKE_DROPOUT)).features(shown.fake_images)
        logits = self._logits(real_features, fake_features, shown, draws)
        losses = {
            "discriminator_loss": self.objective.discriminator(logits.real, logits.fake, logits.wrong_label),
            "penalty": tf.zeros_like(logits.real),
            "real_sign": tf.sign(logits.taken_for_real),
        }
        if penalised:
            discriminator = self.discriminator.with_dropout(draws.fold(Use.PENALTY_DROPOUT))
            losses["penalty"] = self.penalty(self._climbed(discriminator), shown, draws.fold(Use.PENALTY))
        if self.auxiliary is not None:
            losses["discriminator_auxiliary"] = self.auxiliary.discriminator(
                self._class_logits(real_features),
                shown.real_labels,
                self._class_logits(fake_features),
                shown.fake_labels,
            )
        if self.discriminator.unconditional is not None:
            real, fake = map(self._unconditional_logits, (real_features, fake_features), low_images)
            losses["discriminator_unconditional"] = self.objective.discriminator(real, fake, None)
        found: Sums = {}
        if self.regulariser.discriminator is not None:
            seen = DiscriminatorPass(self.discriminator, shown, logits.real, logits.fake)
            losses["discriminator_regulariser"], found = self.regulariser.discriminator(
                seen, draws.fold(Use.REGULARISER)
            )
        return StepLosses(losses, found)

    def generator_losses(self, real_images: tf.Tensor, real_labels: tf.Tensor, draws: Draws) -> StepLosses:
        """Returns the losses of a generator step.

        Arguments:
          real_images: as they are shown, `[B, H, W, C]`; relativistic losses look at them.
          real_labels: `[B]`, their classes.
          draws: random numbers of this step.
        """
        latents, fake_labels = self._latents_and_labels(real_labels, draws)
        fake_images, _, low_fakes = self._fakes_with_labels(latents, fake_labels)
        shown = self._augment(fake_images, draws.fold(Use.FAKE_AUGMENTATION))
        fake_features = self.discriminator.with_dropout(draws.fold(Use.FAKE_DROPOUT)).features(shown)
        fake_logits = self.discriminator.logits(fake_features, fake_labels)
        real_features = real_logits = None
        if self.objective.needs_real_logits:
            shown = self._augment(real_images, draws.fold(Use.REAL_AUGMENTATION))
            real_features = self.discriminator.with_dropout(draws.fold(Use.REAL_DROPOUT)).features(shown)
            real_logits = self.discriminator.logits(real_features, real_labels)
        losses = {"generator_loss": self.objective.generator(fake_logits, real_logits)}
        if self.auxiliary is not None:
            losses["generator_auxiliary"] = -self.auxiliary.score(self._class_logits(fake_features), fake_labels)
        if self.discriminator.unconditional is not None:
            fake, real = self._unconditional_logits(fake_features, low_fakes), None
            if real_features is not None:
                real = self._unconditional_logits(real_features, self._low(real_images))
            losses["generator_unconditional"] = self.objective.generator(fake, real)
        found: Sums = {}
        if self.regulariser.generator is not None:
            made = GeneratorPass(self._fakes, latents, fake_labels, fake_images, fake_logits, real_images, real_labels)
            losses["generator_regulariser"], found = self.regulariser.generator(made, draws.fold(Use.REGULARISER))
        return StepLosses(losses, found)

    def _latents_and_labels(self, real_labels: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, tf.Tensor]:
        labels = labels_of_fakes(draws.fold(Use.FAKE_LABELS), real_labels, self.label_probabilities)
        return draws.fold(Use.LATENTS).normal(self.latent_dim), labels

    def _fakes_with_labels(self, latents: tf.Tensor, labels: tf.Tensor) -> Fakes:
        if self.low_generator is None:
            return Fakes(self._fakes(latents, labels), labels, None)
        images, features = self.low_generator.generator([latents, labels], training=True)
        low_images = self.low_generator.to_images(features, training=True)
        return Fakes(tf.cast(images, keras.config.floatx()), labels, tf.cast(low_images, keras.config.floatx()))

    def _low(self, images: tf.Tensor) -> tf.Tensor | None:
        """Returns real images `[B, H, W, 3]` as small as those of a `LowGenerator`, by the mean of each area."""
        if self.low_generator is None:
            return None
        size = images.shape[1] // self.discriminator.low_trunk.side
        return tf.nn.avg_pool2d(images, size, size, "VALID")

    def _unconditional_logits(self, features: tf.Tensor, low_images: tf.Tensor | None) -> tf.Tensor:
        """Returns the logits `[B]`, whatever the class, of features or, where there are such, of small images."""
        if low_images is not None:
            features = self.discriminator.low_features(low_images)
        return self.discriminator.unconditional_logits(features)

    def _fakes(self, latents: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns fakes as they are shown, `[B, H, W, C]`."""
        images = tf.cast(self.generator([latents, labels], training=True), keras.config.floatx())
        return images if self.box_table is None else _with_map(images, self.box_table(latents, labels))

    def _class_logits(self, features: tf.Tensor) -> tf.Tensor:
        return self.discriminator.class_logits(features, self.num_classes)

    def _climbed(self, discriminator: Discriminator) -> Discriminate:
        """Returns what a generator climbs, whose slope a penalty is to hold: the weighted sum of logits and scores.

        Were the slope of one of them not held, the generator would follow it for ever.
        """
        sees_unconditional = discriminator.unconditional is not None and discriminator.low_trunk is None
        if self.auxiliary is None and not sees_unconditional:
            return discriminator

        def climbed(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            features = discriminator.features(images)
            total = discriminator.logits(features, labels)
            if self.auxiliary is not None:
                total += self.auxiliary_weight * self.auxiliary.score(self._class_logits(features), labels)
            if not sees_unconditional:
                return total
            unconditional = self.unconditional_weight * discriminator.unconditional_logits(features)
            return self.conditional_fraction.read_value() * total + unconditional

        return climbed

    def _logits(self, real_features: tf.Tensor, fake_features: tf.Tensor, shown: RealAndFake, draws: Draws) -> Logits:
        """Returns the logits of a discriminator step; one pass over real images serves all labels."""
        if self.objective.has_fake_class:
            return self._logits_of_softmax(real_features, shown.real_labels, fake_features)
        real = self.discriminator.logits(real_features, shown.real_labels)
        fake = self.discriminator.logits(fake_features, shown.fake_labels)
        wrong_label = None
        if self.has_wrong_labels:
            others = wrong_labels(draws.fold(Use.WRONG_LABELS), shown.real_labels, self.num_classes)
            wrong_label = self.discriminator.logits(real_features, others)
        return Logits(real, fake, wrong_label, taken_for_real=real)

    def _logits_of_softmax(self, real_features: tf.Tensor, labels: tf.Tensor, fake_features: tf.Tensor) -> Logits:
        """Returns the logits of a discriminator with a class of its own for fakes, as many as of any other class.

        An image is taken for real if it is likelier among real images than among fakes, 1 in num_classes + 1.
        """
        fake_class = tf.fill(labels.shape, self.num_classes)
        real = self.discriminator.logits(real_features, labels)
        fake = self.discriminator.logits(fake_features, fake_class) / self.num_classes
        taken_for_fake = self.discriminator.logits(real_features, fake_class)
        return Logits(real, fake, None, taken_for_real=-math.log(self.num_classes + 1) - taken_for_fake)

    def _augmented(self, shown: RealAndFake, draws: Draws) -> RealAndFake:
        real_images = self._augment(shown.real_images, draws.fold(Use.REAL_AUGMENTATION))
        fake_images = self._augment(shown.fake_images, draws.fold(Use.FAKE_AUGMENTATION))
        return shown._replace(real_images=real_images, fake_images=fake_images)

    def _augment(self, images: tf.Tensor, draws: Draws) -> tf.Tensor:
        return self.augmentation.augment(images, draws, self.strength.read_value())


def _with_map(images: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Returns images `[B, H, W, 3]` with the map of their boxes `[B, M, 4]` as the fourth channel."""
    return tf.concat([images, rasterise(boxes, images.shape[1])], axis=-1)
