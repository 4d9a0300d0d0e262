"""The losses of a step: of labelled images, of guesses, of the balanced head and of metadata."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from melgan.classifiers.auxiliary import auxiliary_losses, auxiliary_targets
from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.distillation import distillation_losses
from melgan.classifiers.metadata import METADATA
from melgan.classifiers.mixing import Mixture
from melgan.classifiers.network import Outputs, apply_classifier
from melgan.classifiers.semi_supervised import cross_entropies, ramp_up
from melgan.classifiers.targets import balancing_weights, class_losses
from melgan.training.replica import part_of_mean
from melgan.training.stepping import Metrics


class Objective:
    """The loss that a classifier is trained with.

    Arguments:
      config: the recipe.
      class_counts: images of each class `[C]` that are shown.
      total_steps: of the training.
      own_batch_size: images of a replica's batch.
      teacher: for distillation, or None.
    """

    def __init__(
        self,
        config: ClassifierConfig,
        class_counts: Sequence[float],
        *,
        total_steps: int,
        own_batch_size: int,
        teacher: keras.Model | None,
    ) -> None:
        self._config, self._teacher = config, teacher
        self._total_steps, self._own_batch_size = total_steps, own_batch_size
        self._class_weights = balancing_weights(class_counts, config.class_balance).astype(np.float32)

    def losses(self, outputs: Outputs, examples: Mixture, step: tf.Tensor | int) -> tuple[tf.Tensor, Metrics]:
        """Returns a replica's part of the loss `[]` of a step's examples, and of its terms, each before its weight.

        Arguments:
          outputs: of the network for the examples.
          examples: those of `ClassifierTrainer.examples`, or some of them.
          step: number of the step.
        """
        config, method = self._config, self._config.semi_supervision
        terms = {"loss": self._mean(self._class_losses(outputs, examples))}
        loss = terms["loss"]
        if method is not None:
            terms["consistency_loss"] = self._mean(self._consistency_losses(outputs, examples))
            ramp = ramp_up(tf.convert_to_tensor(step), self._total_steps, method.rampup_fraction)
            loss += method.weight(len(self._class_weights)) * ramp * terms["consistency_loss"]
        if outputs.balanced is not None:
            terms["balanced_loss"] = self._mean(self._balanced_losses(outputs, examples))
            loss += terms["balanced_loss"]
        of_each = examples.losses(lambda part: auxiliary_losses(outputs.auxiliary, auxiliary_targets(part)))
        per_image = examples.images.shape[0] / self._own_batch_size if method else 1  # examples made of an image
        terms["auxiliary_loss"] = self._mean(of_each) / per_image
        weight = config.auxiliary_weight if METADATA[config.metadata].is_target else 0.0
        return loss + weight * terms["auxiliary_loss"], terms

    def _mean(self, losses: tf.Tensor) -> tf.Tensor:
        return part_of_mean(losses, self._config.batch_size)

    def _class_losses(self, outputs: Outputs, examples: Mixture) -> tf.Tensor:
        """Returns the losses `[B]` of labelled images by their targets, and by what the teacher thinks."""
        smoothing, weights = self._config.label_smoothing, self._class_weights
        losses = examples.losses(lambda part: class_losses(outputs.logits, part["targets"], weights, smoothing))
        if self._config.semi_supervision is not None:
            return tf.where(examples.own["is_labelled"], examples.own["weight"] * losses, 0.0)
        return self._distilled(losses, outputs.logits, examples)

    def _consistency_losses(self, outputs: Outputs, examples: Mixture) -> tf.Tensor:
        """Returns the losses `[B]` of unlabelled images by what is guessed of them."""
        losses = self._config.semi_supervision.consistency(outputs.logits, examples.mean("targets"))
        return tf.where(examples.own["is_labelled"], 0.0, examples.own["weight"] * losses)

    def _balanced_losses(self, outputs: Outputs, examples: Mixture) -> tf.Tensor:
        """Returns the losses `[B]` of the head for which every class weighs the same."""
        return examples.losses(
            lambda part: part["balanced_weight"] * cross_entropies(outputs.balanced, part["balanced_targets"])
        )

    def _distilled(self, losses: tf.Tensor, logits: tf.Tensor, examples: Mixture) -> tf.Tensor:
        """Returns the losses `[B]` beside those of what the teacher thinks, if there is one."""
        if self._teacher is None:
            return losses
        config = self._config
        thought = apply_classifier(self._teacher, examples.images, examples.mean("metadata"), training=False)
        taught = distillation_losses(logits, thought.predicted, config.distillation_temperature)
        return (1 - config.distillation_weight) * losses + config.distillation_weight * taught
