"""Training of a translator under any strategy: one trainer for all methods, which are networks and weights of terms.

The losses stand in `terms.py`, what they look at in `passes.py`. Here they are averaged over the global batch,
differentiated and applied. All networks take a step at once, from the same translated images. On one GPU, XLA compiles
the step as a whole.
"""

from collections.abc import Sequence
from enum import IntEnum
from functools import partial
from typing import NamedTuple

import keras
import tensorflow as tf

from melgan.images import to_signed_float
from melgan.training.averaging import update_average, warmed_up_decay
from melgan.training.compiling import can_compile, compiles
from melgan.training.distribution import per_replica_batch_size
from melgan.training.precision import (
    adam_of,
    apply_gradients,
    layers_computing_in,
    loss_scale_of,
    make_adam,
    resolve_precision,
)
from melgan.training.randomness import Draws, draws_of_step
from melgan.training.replica import dense_gradients, part_of_mean
from melgan.training.schedules import linear_decay
from melgan.training.stepping import Metrics, Program, make_program, with_roots
from melgan.translation.conditions import condition_map, skin_colours
from melgan.translation.config import TranslatorConfig
from melgan.translation.objectives import OBJECTIVES
from melgan.translation.passes import Passes
from melgan.translation.terms import TERMS, discriminator_losses
from melgan.translation.translators import (
    build_generator,
    build_networks,
    outlined_by,
    require_possible,
    translator_of,
    weights_of,
)
from tfrecords_tools.foundation.settings import require

_NORMS = ("discriminator_gradient", "generator_gradient")


class _Use(IntEnum):
    FORWARD = 0
    BACKWARD = 1


class Gradients(NamedTuple):
    """Gradients of the weights of all generators or of all discriminators, and this replica's part of each term."""

    of_weights: list[tf.Tensor]
    terms: Metrics


class TranslationTrainer:
    """The networks and optimizers of a translator in training.

    A batch holds, of images of two classes, `source_image` and `target_image`, uint8 `[B, H, W, 3]`, and, if the config
    is `outlined_by` anything, `source_mask` and `target_mask`, uint8 `[B, H, W, 1]`, 0 or 255. A paired method takes
    `image`, `mask` and `label` `[B]`, int32.

    `directions` are the networks that are trained: those from the source to the target, and those back where there
    are any. `averages` are the moving averages of their generators. `attempt` counts the rollbacks.

    Arguments:
      config: resolved (`translators.resolve`).
      strategy: everything is created in its scope.
      num_classes: of the labels; of no matter where there are none.
      total_steps: length of the schedule of the learning rate.

    Raises:
      ConfigError: for terms that the method cannot have, or a batch that does not divide.
    """

    batches_per_step = 1

    def __init__(
        self, config: TranslatorConfig, strategy: tf.distribute.Strategy, *, num_classes: int, total_steps: int
    ) -> None:
        require_possible(config)
        require(total_steps > 0, "total_steps", total_steps, "greater than 0")
        self._own_batch_size = per_replica_batch_size(strategy, config.global_batch_size, "global_batch_size")
        self.config, self._strategy, self._num_classes = config, strategy, num_classes
        self._total_steps, self._weights = total_steps, weights_of(config)
        self._compiles, self._is_tried = compiles(config.xla, strategy), False
        self._precision = resolve_precision(config.precision, strategy)
        keras.utils.set_random_seed(config.seed)
        with strategy.scope():
            with layers_computing_in(self._precision):
                self.directions = build_networks(config, num_classes)
            self.averages = tuple(build_generator(config, num_classes) for _ in self.directions)
            aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
            self._rate = tf.Variable(config.learning_rate, trainable=False, aggregation=aggregation)
            self._generator_optimizer = self._make_optimizer(self._generator_weights)
            self._discriminator_optimizer = self._make_optimizer(self._discriminator_weights)
            self.attempt = tf.Variable(0, dtype=tf.int32, trainable=False, aggregation=aggregation)
        for average, direction in zip(self.averages, self.directions, strict=True):
            average.set_weights(direction.generator.translate.get_weights())
        self._program = self._make_program()

    @property
    def average_generator(self) -> keras.Model:
        """The moving average of the generator from the source to the target; see `translators.build_generator`."""
        return self.averages[0]

    @property
    def checkpointed(self) -> dict:
        """The contents of a checkpoint, by name."""
        contents = {
            "generator_optimizer": adam_of(self._generator_optimizer),
            "discriminator_optimizer": adam_of(self._discriminator_optimizer),
            "attempt": self.attempt,
        }
        for prefix, direction, average in zip(("", "backward_"), self.directions, self.averages, strict=False):
            parts = {**direction.generator_parts, "discriminator": direction.discriminator, "ema_generator": average}
            contents |= {f"{prefix}{name}": part for name, part in parts.items()}
        return contents

    @property
    def checkpointed_by_device(self) -> dict:
        """The contents of a checkpoint, by name, that one of another device may lack."""
        optimizers = {"generator": self._generator_optimizer, "discriminator": self._discriminator_optimizer}
        return {f"{name}_loss_scale": loss_scale_of(optimizer) for name, optimizer in optimizers.items()}

    def program_at(self, step: int) -> tuple[Program, int | None]:
        """Returns the program that takes every step, and None.

        Its metrics are the terms before their weights, summed over the directions, the losses of both kinds of networks
        (means over the batch), and norms of gradients (over several replicas, the root of the sum of their squares).
        """
        del step
        if self._compiles and not self._is_tried:
            self._try_out()
        return self._program, None

    def draws(self, step: tf.Tensor | int) -> Draws:
        """Returns the random numbers of a step, for the replica in whose context this is called."""
        return draws_of_step(
            tf.stack([tf.constant(self.config.seed, tf.int32), self.attempt.read_value()]),
            step,
            global_batch_size=self.config.global_batch_size,
            num_replicas=self._strategy.num_replicas_in_sync,
        )

    def passes(self, batch: dict[str, tf.Tensor], draws: Draws) -> tuple[Passes, ...]:
        """Returns what is made of a batch in each direction, before any of it is made."""
        if translator_of(self.config).is_paired:
            return (self._passes_from_conditions(batch, draws),)
        images = {name: to_signed_float(batch[f"{name}_image"]) for name in ("source", "target")}
        masks = dict.fromkeys(images)
        if outlined_by(self.config):
            masks = {name: 0.5 + 0.5 * to_signed_float(batch[f"{name}_mask"]) for name in images}
        ways = (("source", "target", _Use.FORWARD), ("target", "source", _Use.BACKWARD))
        return tuple(
            self._passes(number, images[of], images[to], masks=masks[of], draws=draws.fold(use))
            for number, (of, to, use) in enumerate(ways[: len(self.directions)])
        )

    def generator_gradients(self, passes: Sequence[Passes]) -> Gradients:
        """Returns the gradients of the generators' scaled loss, summed over this replica's examples, and its terms."""
        with tf.GradientTape() as tape:
            terms = {
                name: part_of_mean(tf.add_n([TERMS[name](each) for each in passes]), self.config.global_batch_size)
                for name in self._weights
            }
            loss = tf.add_n([weight * terms[name] for name, weight in self._weights.items()])
            scaled = self._generator_optimizer.scale_loss(loss)
        return Gradients(dense_gradients(tape, scaled, self._generator_weights), terms | {"generator_loss": loss})

    def discriminator_gradients(self, passes: Sequence[Passes]) -> Gradients:
        """Returns the gradients of the discriminators' scaled loss, summed over this replica's examples, and it.

        What the passes have not made yet is made outside of the tape, where nothing need be kept for gradients.
        """
        for each in passes:
            _ = each.translated
        with tf.GradientTape() as tape:
            losses = tf.add_n([discriminator_losses(each) for each in passes])
            loss = part_of_mean(losses, self.config.global_batch_size)
            scaled = self._discriminator_optimizer.scale_loss(loss)
        return Gradients(dense_gradients(tape, scaled, self._discriminator_weights), {"discriminator_loss": loss})

    @property
    def _generator_weights(self) -> list[keras.Variable]:
        parts = [part for direction in self.directions for part in direction.generator_parts.values()]
        return [variable for part in parts for variable in part.trainable_variables]

    @property
    def _discriminator_weights(self) -> list[keras.Variable]:
        return [variable for each in self.directions for variable in each.discriminator.trainable_variables]

    def _make_optimizer(self, variables: Sequence[keras.Variable]) -> keras.optimizers.Optimizer:
        config = self.config
        return make_adam(self._rate, config.beta_1, config.beta_2, precision=self._precision, variables=variables)

    def _passes_from_conditions(self, batch: dict[str, tf.Tensor], draws: Draws) -> Passes:
        images = to_signed_float(batch["image"])
        colours = skin_colours(images, batch["mask"])
        if not self.config.skin_colour:
            colours = tf.zeros_like(colours)
        conditions = condition_map(batch["mask"], colours, batch["label"], self._num_classes)
        return self._passes(0, conditions, images, draws=draws.fold(_Use.FORWARD))

    def _passes(
        self, number: int, inputs: tf.Tensor, real: tf.Tensor, *, draws: Draws, masks: tf.Tensor | None = None
    ) -> Passes:
        """Returns the passes of a direction by its number."""
        translator = translator_of(self.config)
        return Passes(
            direction=self.directions[number],
            opposite=self.directions[1 - number] if translator.both_ways else None,
            objective=OBJECTIVES[translator.objective],
            inputs=inputs,
            real_images=real,
            masks=masks,
            shows_inputs=translator.is_paired,
            mirrors=translator.mirrors,
            contrasts_kept=translator.contrasts_kept,
            temperature=self.config.nce_temperature,
            draws=draws,
        )

    def _make_program(self) -> Program:
        take_step = self._compiled_step() if self._compiles else self._take_step
        return make_program(
            self._strategy,
            lambda batches, step: take_step(*batches, step),
            before_step=self._before_step,
            after_step=self._after_step,
            after_steps=partial(with_roots, names=_NORMS),
        )

    def _compiled_step(self) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(self._take_step, autograph=False, jit_compile=True)

    def _before_step(self, step: tf.Tensor) -> None:
        factor = linear_decay(step, self._total_steps, self.config.decay_from)
        self._rate.assign(self.config.learning_rate * factor)

    def _take_step(self, batch: dict[str, tf.Tensor], step: tf.Tensor) -> Metrics:
        """Takes a step on this replica; returns its part of every metric, of norms the squares."""
        passes = self.passes(batch, self.draws(step))
        of_generators, of_discriminators = self.generator_gradients(passes), self.discriminator_gradients(passes)
        generators = apply_gradients(self._generator_optimizer, of_generators.of_weights, self._generator_weights)
        discriminators = apply_gradients(
            self._discriminator_optimizer, of_discriminators.of_weights, self._discriminator_weights
        )
        metrics = of_generators.terms | of_discriminators.terms
        metrics["generator_gradient"] = generators.squared_norm
        metrics["discriminator_gradient"] = discriminators.squared_norm
        if self._precision != "float16":
            return metrics
        skipped = generators.skipped + discriminators.skipped
        return metrics | {"skipped_steps": skipped / self._strategy.num_replicas_in_sync}

    def _after_step(self, step: tf.Tensor, metrics: Metrics) -> None:
        del metrics
        decay = warmed_up_decay(self.config.ema_decay, step)
        for average, direction in zip(self.averages, self.directions, strict=True):
            update_average(average.trainable_variables, direction.generator.translate.trainable_variables, decay)

    def _try_out(self) -> None:
        """Takes a step and undoes it; if XLA cannot compile it, goes on without, unless the user insists on XLA."""
        self._is_tried = True
        optimizers = self._generator_optimizer, self._discriminator_optimizer
        variables = [*self._generator_weights, *self._discriminator_weights]
        variables += [variable for optimizer in optimizers for variable in optimizer.variables]
        run = partial(self._strategy.run, self._compiled_step(), args=(self._blank_batch(), tf.zeros([], tf.int64)))
        if not can_compile(run, [variable.value for variable in variables], self.config.xla):
            self._compiles = False
            self._program = self._make_program()

    def _blank_batch(self) -> dict[str, tf.Tensor]:
        """Returns a batch of black images for a replica."""
        shape = [self._own_batch_size, self.config.image_size, self.config.image_size]
        images, masks = tf.zeros([*shape, 3], tf.uint8), tf.zeros([*shape, 1], tf.uint8)
        if translator_of(self.config).is_paired:
            return {"image": images, "mask": masks, "label": tf.zeros(shape[:1], tf.int32)}
        batch = {"source_image": images, "target_image": images}
        return batch | ({"source_mask": masks, "target_mask": masks} if outlined_by(self.config) else {})
