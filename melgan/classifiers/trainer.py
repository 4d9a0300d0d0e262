"""The recipe that trains a classifier, and its predictions.

AdamW with linear warm-up and cosine decay; label smoothing; a moving average of all weights, which is evaluated and
kept; auxiliary targets; dihedral views averaged in prediction. He et al. 2019, "Bag of tricks", tables 2 and 4.
"""

from collections.abc import Sequence
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from melgan.classifiers.augmentation import AUGMENTATIONS
from melgan.classifiers.auxiliary import auxiliary_losses, auxiliary_targets
from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.distillation import distillation_losses
from melgan.classifiers.mixing import MIXINGS, Mixture, block_size, mix, unmixed
from melgan.classifiers.network import build_classifier
from melgan.classifiers.prediction import Predictor
from melgan.classifiers.targets import balancing_weights, class_losses
from melgan.training.averaging import update_average, warmed_up_decay
from melgan.training.compiling import can_compile, compiles
from melgan.training.distribution import per_replica_batch_size
from melgan.training.precision import adam_of, apply_gradients, layers_computing_in, loss_scale_of, resolve_precision
from melgan.training.randomness import draws_of_step
from melgan.training.replica import dense_gradients, part_of_mean
from melgan.training.stepping import Metrics, Program, make_program
from tfrecords_tools.foundation.errors import look_up
from tfrecords_tools.foundation.metadata import MISSING, PROPERTIES
from tfrecords_tools.foundation.settings import require


class ClassifierTrainer:
    """Trains a classifier under a strategy.

    Arguments:
      config: the recipe.
      class_counts: images of each class `[num_classes]` that an epoch shows, synthetic ones among them.
      total_steps: length of the learning-rate schedule.
      strategy: everything is created in its scope.
      teacher: a network of `build_classifier` of the same classes and image size, made in that scope; None: no
        distillation.

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
        teacher: keras.Model | None = None,
    ) -> None:
        look_up(AUGMENTATIONS, config.augmentation, "augmentation")
        own_batch_size = per_replica_batch_size(strategy, config.batch_size, "batch_size")
        _require_partners(config, own_batch_size)
        divides = own_batch_size % config.accumulation == 0
        require(divides, "accumulation", config.accumulation, f"a divisor of {own_batch_size}, the batch of a replica")
        self._config, self._strategy, self._teacher = config, strategy, teacher
        self._class_weights = balancing_weights(class_counts, config.class_balance).astype(np.float32)
        self._precision = resolve_precision(config.precision, strategy)
        self._compiles, self._is_tried = compiles(config.xla, strategy), False
        keras.utils.set_random_seed(config.seed)
        with strategy.scope():
            with layers_computing_in(self._precision):
                self._model = build_classifier(config, len(class_counts))
            self.average_model = build_classifier(config, len(class_counts))
            self._optimizer = _make_optimizer(config, total_steps, self._model, self._precision)
        self.average_model.set_weights(self._model.get_weights())
        self._averaged = _averaged_weights(self.average_model, self._model)
        self._predictors: dict[int, Predictor] = {}
        self._compiled_step = tf.function(self._take_step, autograph=False, jit_compile=True)
        self._program = self._make_program()

    @property
    def checkpointed(self) -> dict:
        """The contents of a checkpoint, by name."""
        return {
            "model": self._model,
            "average_model": self.average_model,
            "optimizer": adam_of(self._optimizer),
            "dropout_states": _dropout_states(self._model),  # Keras leaves them out of the model's own checkpoint
        }

    @property
    def checkpointed_by_device(self) -> dict:
        """The factor of the loss, which only float16 needs."""
        return {"loss_scale": loss_scale_of(self._optimizer)}

    def program_at(self, step: int) -> tuple[Program, int | None]:
        """Returns the program that takes every step, and None; its metrics are the losses."""
        del step
        if self._compiles and not self._is_tried:
            self._try_out()
        return self._program, None

    def predictor(self, views: int) -> "Predictor":
        """Returns what predicts with the averaged weights, from 1 to 8 views of an image."""
        return self._predictors.setdefault(views, Predictor(self.average_model, views))

    def gradients(self, mixture: Mixture) -> tuple[list[tf.Tensor], Metrics]:
        """Returns the gradients of the scaled loss of some images on this replica, and its part of the losses."""
        config = self._config
        with tf.GradientTape() as tape:
            logits, auxiliary_logits = self._model(mixture.images, training=True)
            losses = mixture.losses(
                lambda part: class_losses(logits, part["targets"], self._class_weights, config.label_smoothing)
            )
            loss = part_of_mean(self._distilled(losses, logits, mixture.images), config.batch_size)
            losses = mixture.losses(lambda part: auxiliary_losses(auxiliary_logits, auxiliary_targets(part)))
            auxiliary = part_of_mean(losses, config.batch_size)
            scaled = self._optimizer.scale_loss(loss + config.auxiliary_weight * auxiliary)
        gradients = dense_gradients(tape, scaled, self._model.trainable_variables)
        return gradients, {"loss": loss, "auxiliary_loss": auxiliary}

    def _make_program(self) -> Program:
        take_step = self._compiled_step if self._compiles else self._take_step
        return make_program(
            self._strategy, lambda batches, step: take_step(*batches, step), after_step=self._update_average
        )

    def _take_step(self, batch: dict[str, tf.Tensor], step: tf.Tensor) -> Metrics:
        """Takes a step on this replica; returns its part of every metric."""
        first, *others = self.mixture(batch, step).split(self._config.accumulation)
        gradients, metrics = self.gradients(first)
        for part in others:
            with tf.control_dependencies(gradients):  # not side by side, which would take the memory of all at once
                more, losses = self.gradients(part)
            gradients = [one + other for one, other in zip(gradients, more, strict=True)]
            metrics = {name: value + losses[name] for name, value in metrics.items()}
        applied = apply_gradients(self._optimizer, gradients, self._model.trainable_variables)
        skipped = applied.skipped / self._strategy.num_replicas_in_sync
        return metrics | ({"skipped_steps": skipped} if self._precision == "float16" else {})

    def _try_out(self) -> None:
        """Takes a step and undoes it; if XLA cannot compile it, goes on without, unless the user insists on XLA."""
        self._is_tried = True
        size, side = self._config.batch_size, self._config.image_size
        batch = {name: tf.fill([size], MISSING) for name in PROPERTIES}
        batch |= {"image": tf.zeros([size, side, side, 3], tf.uint8)}
        batch |= {"targets": tf.zeros([size, len(self._class_weights)])}
        variables = [variable.value for of in (self._model, self._optimizer) for variable in of.variables]
        run = partial(self._strategy.run, self._compiled_step, args=(batch, tf.zeros([], tf.int64)))
        if not can_compile(run, variables, self._config.xla):
            self._compiles = False
            self._program = self._make_program()

    def mixture(self, batch: dict[str, tf.Tensor], step: tf.Tensor) -> Mixture:
        """Returns the images of a batch on this replica, mixed in pairs if they shall be."""
        config, images = self._config, tf.cast(batch["image"], tf.float32)
        if config.mixing == "none":
            return unmixed(images, batch)
        draws = draws_of_step(
            tf.constant([config.seed, 0]),
            step,
            global_batch_size=config.batch_size,
            num_replicas=self._strategy.num_replicas_in_sync,
        )
        return mix(images, batch, MIXINGS[config.mixing], config.mixing_alpha, draws)

    def _distilled(self, losses: tf.Tensor, logits: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Returns the losses `[B]` beside those of what the teacher thinks, if there is one."""
        if self._teacher is None:
            return losses
        config = self._config
        teacher_logits, _ = self._teacher(images, training=False)
        taught = distillation_losses(logits, teacher_logits, config.distillation_temperature)
        return (1 - config.distillation_weight) * losses + config.distillation_weight * taught

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


def _require_partners(config: ClassifierConfig, batch_size: int) -> None:
    """Raises ConfigError if images shall be mixed and a replica's batch has no partners for them."""
    if config.mixing == "none":
        return
    look_up(MIXINGS, config.mixing, "mixing")
    require(block_size(batch_size) > 1, "batch_size", config.batch_size, "even on every replica, for mixing")


def _make_optimizer(
    config: ClassifierConfig, total_steps: int, model: keras.Model, precision: str
) -> keras.optimizers.Optimizer:
    warmup_steps = int(config.warmup_fraction * total_steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else config.peak_learning_rate,
        decay_steps=max(total_steps - warmup_steps, 1),
        warmup_target=config.peak_learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay)
    optimizer.exclude_from_weight_decay(var_list=[v for v in model.trainable_variables if len(v.shape) < 2])
    if precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def _dropout_states(model: keras.Model) -> list[tf.Variable]:
    return [variable.value for variable in model.variables if variable.path.endswith("seed_generator_state")]
