"""The recipe that trains a classifier, and its predictions.

AdamW with linear warm-up and cosine decay; label smoothing; a moving average of all weights, which is evaluated and
kept; auxiliary targets; dihedral views averaged in prediction. He et al. 2019, "Bag of tricks", tables 2 and 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from melgan.classifiers.augmentation import AUGMENTATIONS
from melgan.classifiers.balanced_head import class_ratios, with_balanced_targets
from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.guessing import Guesser
from melgan.classifiers.metadata import encode_metadata, hide_metadata
from melgan.classifiers.mixing import MIXINGS, Mixture, block_size, mix, unmixed
from melgan.classifiers.network import MakeBackbone, apply_classifier, build_classifier, takes_metadata
from melgan.classifiers.objective import Objective
from melgan.classifiers.prediction import Predictor
from melgan.layers.spectral import advance_power_iterations
from melgan.training.averaging import update_average, warmed_up_decay
from melgan.training.compiling import can_compile, compiles
from melgan.training.distribution import per_replica_batch_size
from melgan.training.precision import adam_of, apply_gradients, layers_computing_in, loss_scale_of, resolve_precision
from melgan.training.randomness import Draws, draws_of_step
from melgan.training.replica import dense_gradients
from melgan.training.stepping import Metrics, Program, make_program
from tfrecords_tools.foundation.errors import look_up
from tfrecords_tools.foundation.metadata import MISSING, PATIENT_IMAGES, PROPERTIES
from tfrecords_tools.foundation.settings import require


class _Use(IntEnum):
    HIDING = 48  # smaller numbers are of mixing and guessing


@dataclass(frozen=True)
class StreamFacts:
    """What a classifier must know of the streams `[S]` that its batches are mixed from.

    Attributes:
      hiding: how often metadata is hidden from the inputs, of images of each class `[S, C]`.
      priors: fractions of the classes, as they are known or taken to be `[S, C]`.
      is_own_metadata: whether the metadata of its images are theirs `[S]`, and so targets of the image; those of
        others are inputs alone.
    """

    hiding: np.ndarray
    priors: np.ndarray
    is_own_metadata: np.ndarray


class ClassifierTrainer:
    """Trains a classifier under a strategy.

    Arguments:
      config: the recipe.
      class_counts: images of each class `[num_classes]` that an epoch shows, synthetic ones among them.
      total_steps: length of the learning-rate schedule.
      strategy: everything is created in its scope.
      teacher: a network of `build_classifier` of the same classes and image size, made in that scope; None: no
        distillation.
      facts: of the streams; by default there is one, of labelled images.
      make_backbone: see `build_classifier`.

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
        facts: StreamFacts | None = None,
        make_backbone: MakeBackbone | None = None,
    ) -> None:
        look_up(AUGMENTATIONS, config.augmentation, "augmentation")
        own_batch_size = per_replica_batch_size(strategy, config.batch_size, "batch_size")
        _require_partners(config, own_batch_size)
        divides = own_batch_size % config.accumulation == 0
        require(divides, "accumulation", config.accumulation, f"a divisor of {own_batch_size}, the batch of a replica")
        self._config, self._strategy, self._teacher = config, strategy, teacher
        self._own_batch_size = own_batch_size
        self._total_steps, self._facts = total_steps, facts or _of_one_stream(config, class_counts)
        self._class_ratios = class_ratios(class_counts)
        self._objective = Objective(
            config, class_counts, total_steps=total_steps, own_batch_size=own_batch_size, teacher=teacher
        )
        self._precision = resolve_precision(config.precision, strategy)
        self._compiles, self._is_tried = compiles(config.xla, strategy), False
        keras.utils.set_random_seed(config.seed)
        with strategy.scope():
            with layers_computing_in(self._precision):
                self._model = build_classifier(config, len(class_counts), make_backbone)
            self.average_model = build_classifier(config, len(class_counts), make_backbone)
            self._optimizer = _make_optimizer(config, total_steps, self._model, self._precision)
            self._guesser = self._make_guesser()
        self.average_model.set_weights(self._model.get_weights())
        self._averaged = _averaged_weights(self.average_model, self._model)
        self._predictors: dict[tuple[int, tuple[int, ...]], Predictor] = {}
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
        } | ({"guesses": self._guesser.predicted} if self._guesser else {})

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

    def predictor(self, views: int, sizes: Sequence[int] = ()) -> Predictor:
        """Returns what predicts with the averaged weights: see `Predictor`."""
        key = (views, tuple(sizes))
        return self._predictors.setdefault(key, Predictor(self.average_model, views, sizes))

    def gradients(self, examples: Mixture, step: tf.Tensor | int = 0) -> tuple[list[tf.Tensor], Metrics]:
        """Returns the gradients of the scaled loss of some examples on this replica, and its part of the losses."""
        with tf.GradientTape() as tape:
            outputs = apply_classifier(self._model, examples.images, examples.mean("metadata"), training=True)
            loss, terms = self._objective.losses(outputs, examples, step)
            scaled = self._optimizer.scale_loss(loss)
        return dense_gradients(tape, scaled, self._model.trainable_variables), terms

    def _make_guesser(self) -> Guesser | None:
        config, method, own_batch_size = self._config, self._config.semi_supervision, self._own_batch_size
        if method is None:
            return None
        unlabelled = config.num_unlabelled(own_batch_size)
        is_whole = unlabelled == config.unlabelled_fraction * own_batch_size
        of_replica = f"such that of the {own_batch_size} images of a replica whole ones are unlabelled"
        require(is_whole, "unlabelled_fraction", config.unlabelled_fraction, of_replica)
        return Guesser(
            method,
            self.average_model if config.guess_with == "average" else self._model,
            priors=self._facts.priors,
            class_ratios=self._class_ratios,
            total_steps=self._total_steps,
            num_labelled=own_batch_size - unlabelled,
            num_unlabelled=unlabelled,
        )

    def _make_program(self) -> Program:
        take_step = self._compiled_step if self._compiles else self._take_step
        return make_program(
            self._strategy, lambda batches, step: take_step(*batches, step), after_step=self._after_step
        )

    def _take_step(self, batch: dict[str, tf.Tensor], step: tf.Tensor) -> Metrics:
        """Takes a step on this replica; returns its part of every metric."""
        examples, of_guesses = self.examples(batch, step)
        first, *others = examples.split(self._config.accumulation)
        gradients, metrics = self.gradients(first, step)
        for part in others:
            with tf.control_dependencies(gradients):  # not side by side, which would take the memory of all at once
                more, losses = self.gradients(part, step)
            gradients = [one + other for one, other in zip(gradients, more, strict=True)]
            metrics = {name: value + losses[name] for name, value in metrics.items()}
        advance_power_iterations(self._model)
        applied = apply_gradients(self._optimizer, gradients, self._model.trainable_variables)
        skipped = applied.skipped / self._strategy.num_replicas_in_sync
        return metrics | of_guesses | ({"skipped_steps": skipped} if self._precision == "float16" else {})

    def _try_out(self) -> None:
        """Takes a step and undoes it; if XLA cannot compile it, goes on without, unless the user insists on XLA."""
        self._is_tried = True
        batch = self._blank_batch()
        variables = [variable.value for of in (self._model, self._optimizer) for variable in of.variables]
        run = partial(self._strategy.run, self._compiled_step, args=(batch, tf.zeros([], tf.int64)))
        if not can_compile(run, variables, self._config.xla):
            self._compiles = False
            self._program = self._make_program()

    def _blank_batch(self) -> dict[str, tf.Tensor]:
        """Returns a batch of black images for a replica; as many of them have labels as of any other batch."""
        size, side, method = self._own_batch_size, self._config.image_size, self._config.semi_supervision
        batch = {name: tf.fill([size], MISSING) for name in (*PROPERTIES, PATIENT_IMAGES)}
        batch |= {"image": tf.zeros([size, side, side, 3], tf.uint8), "stream": tf.zeros([size], tf.int32)}
        batch |= {"targets": tf.zeros([size, len(self._class_ratios)])}
        batch |= {"is_labelled": tf.range(size) >= self._config.num_unlabelled(size)}
        if method is not None and method.num_guesses > 1:
            batch |= {"views": tf.zeros([size, method.num_guesses, side, side, 3], tf.uint8)}
        return batch

    def examples(self, batch: dict[str, tf.Tensor], step: tf.Tensor | int) -> tuple[Mixture, Metrics]:
        """Returns what this replica learns from in a step, mixed in pairs if it shall be, and metrics of guesses."""
        config, draws = self._config, self._draws(step)
        if self._takes_metadata:
            batch = self._with_own_metadata(batch) | {"metadata": self._metadata(batch, draws)}
        if self._guesser is not None:
            return self._guesser.examples(batch, draws, step)
        if config.balanced_head:
            batch = with_balanced_targets(batch, self._class_ratios)
        images = tf.cast(batch["image"], tf.float32)
        if config.mixing == "none":
            return unmixed(images, batch), {}
        return mix(images, batch, MIXINGS[config.mixing], config.mixing_alpha, draws), {}

    @property
    def _takes_metadata(self) -> bool:
        return any(takes_metadata(network) for network in (self._model, self._teacher) if network is not None)

    def _draws(self, step: tf.Tensor | int) -> Draws:
        return draws_of_step(
            tf.constant([self._config.seed, 0]),
            step,
            global_batch_size=self._config.batch_size,
            num_replicas=self._strategy.num_replicas_in_sync,
        )

    def _with_own_metadata(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns a batch without metadata that were lent to its images."""
        is_own = tf.gather(tf.constant(self._facts.is_own_metadata), batch["stream"])
        return batch | {name: tf.where(is_own, batch[name], MISSING) for name in PROPERTIES}

    def _metadata(self, batch: dict[str, tf.Tensor], draws: Draws) -> tf.Tensor:
        """Returns the metadata of a batch as inputs `[B, NUM_INPUTS]`, that of some images hidden."""
        of_stream = tf.gather(tf.constant(self._facts.hiding, tf.float32), batch["stream"])
        probabilities = tf.gather(of_stream, tf.argmax(batch["targets"], axis=1), batch_dims=1)
        return encode_metadata(hide_metadata(batch, draws.fold(_Use.HIDING).uniform() < probabilities))

    def _after_step(self, step: tf.Tensor, metrics: Metrics) -> None:
        """Moves the mean of the guesses, and the average of all weights that are trained, moving statistics too."""
        if self._guesser is not None:
            self._guesser.update(metrics)
        update_average(*self._averaged, warmed_up_decay(self._config.ema_decay, step))


def _of_one_stream(config: ClassifierConfig, class_counts: Sequence[float]) -> StreamFacts:
    counts = np.asarray(class_counts, np.float32)[None]
    return StreamFacts(np.full_like(counts, config.metadata_dropout), counts / counts.sum(), np.array([True]))


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
