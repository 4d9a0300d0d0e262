"""The recipe that trains a classifier, and its predictions.

AdamW with linear warm-up and cosine decay; label smoothing; a moving average of all weights, which is evaluated and
kept; auxiliary targets; dihedral views averaged in prediction. He et al. 2019, "Bag of tricks", tables 2 and 4.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from melgan.classifiers.augmentation import AUGMENTATIONS
from melgan.classifiers.auxiliary import auxiliary_losses, auxiliary_targets
from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.network import build_classifier
from melgan.classifiers.prediction import Predictor
from melgan.classifiers.targets import balancing_weights, class_losses
from melgan.training.averaging import update_average, warmed_up_decay
from melgan.training.distribution import per_replica_batch_size
from melgan.training.replica import part_of_mean
from melgan.training.stepping import Metrics, Program, make_program
from tfrecords_tools.foundation.errors import look_up


class ClassifierTrainer:
    """Trains a classifier under a strategy.

    Arguments:
      config: the recipe.
      class_counts: images of each class `[num_classes]` that an epoch shows, synthetic ones among them.
      total_steps: length of the learning-rate schedule.
      strategy: everything is created in its scope.

    Raises:
      ConfigError: for names in no table, or a batch that does not divide.
    """

    batches_per_step = 1

    def __init__(
        self,
        config: ClassifierConfig,
        class_counts: Sequence[float],
        total_steps: int,
        strategy: tf.distribute.Strategy,
    ) -> None:
        look_up(AUGMENTATIONS, config.augmentation, "augmentation")
        per_replica_batch_size(strategy, config.batch_size, "batch_size")
        self._config, self._strategy = config, strategy
        self._class_weights = balancing_weights(class_counts, config.class_balance).astype(np.float32)
        keras.utils.set_random_seed(config.seed)
        with strategy.scope():
            self._model = build_classifier(config, len(class_counts))
            self.average_model = build_classifier(config, len(class_counts))
            self._optimizer = _make_optimizer(config, total_steps, self._model)
        self.average_model.set_weights(self._model.get_weights())
        self._averaged = _averaged_weights(self.average_model, self._model)
        self._predictors: dict[int, Predictor] = {}
        self._program = make_program(strategy, self._replica_step, after_step=self._update_average)

    @property
    def checkpointed(self) -> dict:
        """The contents of a checkpoint, by name."""
        return {
            "model": self._model,
            "average_model": self.average_model,
            "optimizer": self._optimizer,
            "dropout_states": _dropout_states(self._model),  # Keras leaves them out of the model's own checkpoint
        }

    @property
    def checkpointed_by_device(self) -> dict:
        """Nothing: what a checkpoint holds is the same on every device."""
        return {}

    def program_at(self, step: int) -> tuple[Program, int | None]:
        """Returns the program that takes every step, and None; its metrics are the losses."""
        del step
        return self._program, None

    def predictor(self, views: int) -> "Predictor":
        """Returns what predicts with the averaged weights, from 1 to 8 views of an image."""
        return self._predictors.setdefault(views, Predictor(self.average_model, views))

    def _replica_step(self, batches: list[dict[str, tf.Tensor]], step: tf.Tensor) -> Metrics:
        del step
        (batch,), config = batches, self._config
        with tf.GradientTape() as tape:
            logits, auxiliary_logits = self._model(tf.cast(batch["image"], tf.float32), training=True)
            losses = class_losses(logits, batch["targets"], self._class_weights, config.label_smoothing)
            loss = part_of_mean(losses, config.batch_size)
            auxiliary = part_of_mean(auxiliary_losses(auxiliary_logits, auxiliary_targets(batch)), config.batch_size)
            total = loss + config.auxiliary_weight * auxiliary
        variables = self._model.trainable_variables
        self._optimizer.apply(tape.gradient(total, variables), variables)
        return {"loss": loss, "auxiliary_loss": auxiliary}

    def _update_average(self, step: tf.Tensor, metrics: Metrics) -> None:
        """Moves the average of all weights that are trained, moving statistics among them; counters stay."""
        del metrics
        update_average(*self._averaged, warmed_up_decay(self._config.ema_decay, step))


def _averaged_weights(
    average_model: keras.Model, model: keras.Model
) -> tuple[list[keras.Variable], list[keras.Variable]]:
    """Returns the weights of the layers that are trained: their averages, and themselves."""
    layers = [pair for pair in zip(average_model.layers, model.layers, strict=True) if pair[1].trainable]
    pairs = [pair for one, other in layers for pair in zip(one.variables, other.variables, strict=True)]
    trained = [pair for pair in pairs if pair[0].dtype.startswith("float")]
    return [average for average, _ in trained], [value for _, value in trained]


def _make_optimizer(config: ClassifierConfig, total_steps: int, model: keras.Model) -> keras.optimizers.Optimizer:
    warmup_steps = int(config.warmup_fraction * total_steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else config.learning_rate,
        decay_steps=max(total_steps - warmup_steps, 1),
        warmup_target=config.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay)
    optimizer.exclude_from_weight_decay(var_list=[v for v in model.trainable_variables if len(v.shape) < 2])
    optimizer.build(model.trainable_variables)
    return optimizer


def _dropout_states(model: keras.Model) -> list[tf.Variable]:
    return [variable.value for variable in model.variables if variable.path.endswith("seed_generator_state")]
