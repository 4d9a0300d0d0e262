"""The recipe that trains a classifier, and its predictions.

AdamW with linear warm-up and cosine decay; label smoothing; a moving average of all weights, which is what is judged
and kept; auxiliary targets; dihedral views averaged in prediction. He et al. 2019, "Bag of tricks", tables 2 and 4.
"""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from melgan.classifiers.augmentation import AUGMENTATIONS
from melgan.classifiers.auxiliary import auxiliary_losses, auxiliary_targets
from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.network import build_classifier
from melgan.classifiers.prediction import Predictor
from melgan.training.averaging import warmed_up_decay
from melgan.training.distribution import per_replica_batch_size
from melgan.training.stepping import take_steps
from tfrecords_tools.foundation.errors import look_up


def balancing_weights(class_counts: Sequence[int], class_balance: float) -> np.ndarray:
    """Returns a loss factor per class `[num_classes]`, n ** -class_balance, of mean 1 over the images."""
    counts = np.asarray(class_counts, np.float64)
    weights = np.where(counts > 0, np.maximum(counts, 1) ** -class_balance, 0.0)
    return weights * counts.sum() / (weights * counts).sum()


class ClassifierTrainer:
    """Trains a classifier under a strategy.

    Arguments:
      config: the recipe.
      class_counts: training images of each class `[num_classes]`.
      total_steps: length of the learning-rate schedule.
      strategy: everything is created in its scope.

    Raises:
      ConfigError: for names in no table, or a batch that does not divide.
    """

    batches_per_step = 1

    def __init__(
        self, config: ClassifierConfig, class_counts: Sequence[int], total_steps: int, strategy: tf.distribute.Strategy
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
        self._predictors: dict[int, Predictor] = {}

    @property
    def checkpointed(self) -> dict:
        """What a checkpoint of this training holds."""
        return {
            "model": self._model,
            "average_model": self.average_model,
            "optimizer": self._optimizer,
            "dropout_states": _dropout_states(self._model),  # Keras leaves them out of the model's own checkpoint
        }

    @tf.function(autograph=False)
    def train_steps(self, batches: Iterator, step: tf.Tensor, num_steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes `num_steps` steps from step number `step`; returns the losses of each, `[num_steps]`."""

        def take_step(number: tf.Tensor) -> tf.Tensor:
            per_replica = self._strategy.run(self._replica_step, args=(next(batches),))
            self._update_average(step + number)
            return self._strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)

        return take_steps(num_steps, ("loss", "auxiliary_loss"), take_step)

    def predictor(self, views: int) -> "Predictor":
        """Returns what predicts with the averaged weights, from 1 to 8 views of an image."""
        return self._predictors.setdefault(views, Predictor(self.average_model, views))

    def _replica_step(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits, auxiliary_logits = self._model(tf.cast(batch["image"], tf.float32), training=True)
            losses = self._reduce(self._class_losses(batch["label"], logits))
            auxiliary = self._reduce(auxiliary_losses(auxiliary_logits, auxiliary_targets(batch)))
            total = losses + self._config.auxiliary_weight * auxiliary
        variables = self._model.trainable_variables
        self._optimizer.apply(tape.gradient(total, variables), variables)
        return tf.stack([losses, auxiliary])

    def _class_losses(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        smoothing, num_classes = self._config.label_smoothing, logits.shape[-1]
        targets = tf.one_hot(labels, num_classes) * (1 - smoothing) + smoothing / num_classes
        losses = tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits)
        return losses * tf.gather(self._class_weights, labels)

    def _reduce(self, per_example: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(per_example) / self._config.batch_size

    def _update_average(self, step: tf.Tensor) -> None:
        decay = warmed_up_decay(self._config.ema_decay, step)
        for average, value in zip(self.average_model.variables, self._model.variables, strict=True):
            if average.dtype.startswith("float"):
                average.assign(decay * average.value + (1.0 - decay) * value.value)


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
