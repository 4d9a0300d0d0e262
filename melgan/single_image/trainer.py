"""Training of SinGAN on one image after another: scales, optimizers, the strength of noise.

The losses stand in `step.py`. Scales are trained one after the other, from the coarsest on; what was trained stays.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from melgan.single_image.config import SinganConfig
from melgan.single_image.networks import build_discriminator, num_filters
from melgan.single_image.pyramid import real_pyramid
from melgan.single_image.stack import GeneratorStack
from melgan.single_image.step import Losses, ScaleStep
from melgan.training.compiling import can_compile, compiles
from melgan.training.precision import (
    adam_of,
    apply_gradients,
    layers_computing_in,
    loss_scale_of,
    make_adam,
    reset_moments,
    resolve_precision,
)
from melgan.training.randomness import Draws, draws_of_step
from melgan.training.replica import dense_gradients, part_of_mean
from melgan.training.stepping import Metrics, Program, make_program, mean_metrics, with_roots
from tfrecords_tools.foundation.errors import DataError

_DECAY = 0.1  # of the learning rate
_NORMS = ("discriminator_gradient", "generator_gradient")


class _Turn(IntEnum):
    DISCRIMINATOR = 0
    GENERATOR = 1


@dataclass(frozen=True)
class _TrainedScale:
    """A scale in training: its losses, and the functions that it runs as."""

    step: ScaleStep
    train_discriminator: Callable[[Draws], Metrics]
    train_generator: Callable[[Draws], Metrics]
    program: Program


class SinganTrainer:
    """Trains the generators of one image; `begin` starts with another image, for which nothing is compiled anew.

    Steps count through the scales: step s belongs to scale s // steps_per_scale. One image has nothing to share out,
    so replicas all do the same; to use several devices, train on several images.

    Arguments:
      config: the settings.
      strategy: everything is created in its scope.
      channels: of the images: 3, or 4 where the last one is a mask (Thambawita et al. 2022, SinGAN-Seg).
    """

    batches_per_step = 0  # the image is part of the trainer

    def __init__(self, config: SinganConfig, strategy: tf.distribute.Strategy, *, channels: int = 3) -> None:
        self.config, self._strategy = config, strategy
        self._compiles, self._tried_scales = compiles(config.xla, strategy), set()
        self._precision = resolve_precision(config.precision, strategy)
        keras.utils.set_random_seed(config.seed)
        with strategy.scope(), layers_computing_in(self._precision):
            self.stack = GeneratorStack(config, channels)
            self._discriminators = [
                build_discriminator(size, channels, num_filters(scale, config.width))
                for scale, size in enumerate(self.stack.sizes)
            ]
            self._reals, self._below = ([_image(size, channels) for size in self.stack.sizes] for _ in range(2))
            self._learning_rate = _constant(config.learning_rate)
            self._generator_optimizer = self._make_optimizer(self.stack.generators)
            self._discriminator_optimizer = self._make_optimizer(self._discriminators)
            self.attempt = _constant(0)
        self._initial_values = [variable.numpy() for variable in self._variables]
        self._scales = self._make_scales()

    @property
    def total_steps(self) -> int:
        """The steps of all scales together."""
        return self.config.steps_per_scale * len(self.stack.sizes)

    @property
    def checkpointed(self) -> dict:
        """The contents of a checkpoint, by name."""
        return self.stack.checkpointed | {
            "discriminators": self._discriminators,
            "reconstructions_below": self._below,
            "generator_optimizer": adam_of(self._generator_optimizer),
            "discriminator_optimizer": adam_of(self._discriminator_optimizer),
            "attempt": self.attempt,
        }

    @property
    def checkpointed_by_device(self) -> dict:
        """The contents of a checkpoint, by name, that one of another device may lack."""
        optimizers = {"generator": self._generator_optimizer, "discriminator": self._discriminator_optimizer}
        return {f"{name}_loss_scale": loss_scale_of(optimizer) for name, optimizer in optimizers.items()}

    def begin(self, image: np.ndarray) -> None:
        """Makes ready to train on an image, as a new trainer would be; call it before a checkpoint is restored.

        Arguments:
          image: uint8 `[image_size, image_size, channels]`; a mask in its fourth channel is 0 and 255.

        Raises:
          DataError: for an image of another form.
        """
        side = self.config.image_size
        wanted = side, side, self.stack.channels
        if image.shape != wanted or image.dtype != np.uint8:
            raise DataError(f"an image is {image.dtype} {list(image.shape)}; this training takes uint8 {list(wanted)}")
        for variable, real in zip(self._reals, real_pyramid(image, self.stack.sizes), strict=True):
            variable.assign(real)
        for variable, value in zip(self._variables, self._initial_values, strict=True):
            variable.assign(value)

    def program_at(self, step: int) -> tuple[Program, int | None]:
        """Returns the program that takes steps from `step` on, and the first step of another one, None: never.

        A step is `disc_steps` discriminator steps and as many generator steps as `gen_steps`, each on a fake of its
        own; its metrics are losses, and norms of gradients, means over these.

        Where a scale begins it takes over the networks of the scale below, if they have as many filters, the optimizers
        begin anew, and the strength of its noise is measured. All this follows from the state that a checkpoint holds,
        so that it can be repeated.
        """
        scale, steps_taken = divmod(step, self.config.steps_per_scale)
        if steps_taken == 0:
            self._begin_scale(scale)
        if self._compiles and scale not in self._tried_scales:
            self._try_out(scale)
        end = (scale + 1) * self.config.steps_per_scale
        return self._scales[scale].program, end if end < self.total_steps else None

    def step_at(self, scale: int) -> ScaleStep:
        """Returns the losses of a scale."""
        return self._scales[scale].step

    def draws(self, step: tf.Tensor | int) -> Draws:
        """Returns the random numbers of a step, the same on all replicas."""
        seed = tf.stack([tf.constant(self.config.seed, tf.int32), self.attempt.read_value()])
        return draws_of_step(seed, step, global_batch_size=1, num_replicas=1)

    def discriminator_gradients(self, step: ScaleStep, draws: Draws) -> tuple[list[tf.Tensor], Metrics]:
        """Returns this replica's part of the gradients of the discriminator's scaled loss, and of its terms."""
        fake = step.fake(draws)
        with tf.GradientTape() as tape:
            terms = self._parts_of_means(step.discriminator_losses(fake, draws))
            loss = terms["discriminator_loss"] + self.config.penalty_weight * terms["penalty"]
            scaled = self._discriminator_optimizer.scale_loss(loss)
        return dense_gradients(tape, scaled, step.discriminator.trainable_variables), terms

    def generator_gradients(self, step: ScaleStep, draws: Draws) -> tuple[list[tf.Tensor], Metrics]:
        """Returns this replica's part of the gradients of the generator's scaled loss, and of its terms."""
        start = step.start(draws)  # of scales that stay, and need no memory on the tape
        with tf.GradientTape() as tape:
            terms = self._parts_of_means(step.generator_losses(start, draws))
            loss = terms["generator_loss"] + self.config.reconstruction_weight * terms["reconstruction_loss"]
            scaled = self._generator_optimizer.scale_loss(loss)
        return dense_gradients(tape, scaled, step.generator.trainable_variables), terms

    @property
    def _replicas(self) -> int:
        return self._strategy.num_replicas_in_sync

    @property
    def _variables(self) -> list[tf.Variable]:
        """All that training changes."""
        parts = (*self.stack.generators, *self._discriminators)
        parts += (self._generator_optimizer, self._discriminator_optimizer)
        changing = [variable.value for part in parts for variable in part.variables]
        return [*changing, *self.stack.amplitudes, *self._below, self.attempt]

    def _make_optimizer(self, networks: list[keras.Model]) -> keras.optimizers.Optimizer:
        variables = [variable for network in networks for variable in network.trainable_variables]
        config = self.config
        return make_adam(
            self._learning_rate, config.beta_1, config.beta_2, precision=self._precision, variables=variables
        )

    def _make_scales(self) -> list[_TrainedScale]:
        return [self._trained(scale) for scale in range(len(self.stack.sizes))]

    def _trained(self, scale: int) -> _TrainedScale:
        """Returns a scale with what it needs to be trained."""
        step = ScaleStep(
            stack=self.stack,
            scale=scale,
            discriminator=self._discriminators[scale],
            real=self._reals[scale],
            below=self._below[scale],
        )
        program = make_program(
            self._strategy,
            lambda batches, number: self._replica_step(scale, number),
            batches_per_step=self.batches_per_step,
            before_step=self._before_step,
            after_steps=partial(with_roots, names=_NORMS),
        )
        return _TrainedScale(
            step=step,
            train_discriminator=self._compiled(partial(self._train_discriminator, step)),
            train_generator=self._compiled(partial(self._train_generator, step)),
            # Whatever iterator it is given counts as none, which another one would not: it would be traced anew.
            program=lambda batches, first, num_steps: program(None, first, num_steps),
        )

    def _begin_scale(self, scale: int) -> None:
        logging.info("scale %d of %d: %d px", scale + 1, len(self.stack.sizes), self.stack.sizes[scale])
        if scale > 0:
            for networks in (self.stack.generators, self._discriminators):
                _take_over(networks[scale], networks[scale - 1])
        for optimizer in (self._generator_optimizer, self._discriminator_optimizer):
            reset_moments(optimizer)
        below = self.stack.reconstruction_below(scale)
        self._below[scale].assign(below)
        if scale > 0:
            error = tf.sqrt(tf.reduce_mean(tf.square(self._reals[scale].read_value() - below)))
            self.stack.amplitudes[scale].assign(self.config.noise_weight * error)

    def _before_step(self, step: tf.Tensor) -> None:
        """Sets the learning rate, outside of replicas."""
        steps_taken = step % self.config.steps_per_scale
        decays = steps_taken >= math.ceil(self.config.decay_at * self.config.steps_per_scale)
        self._learning_rate.assign(tf.where(decays, _DECAY, 1.0) * self.config.learning_rate)

    def _replica_step(self, scale: int, number: tf.Tensor) -> Metrics:
        """Takes a whole step on this replica; returns its part of every metric, of norms the squares."""
        trained, config, draws = self._scales[scale], self.config, self.draws(number)
        turns = [
            (trained.train_discriminator, draws.fold(_Turn.DISCRIMINATOR), config.disc_steps),
            (trained.train_generator, draws.fold(_Turn.GENERATOR), config.gen_steps),
        ]
        metrics, skipped_steps = {}, 0.0
        for train, own_draws, count in turns:
            of_network = mean_metrics([train(own_draws.fold(turn)) for turn in range(count)])
            skipped_steps += count * of_network.pop("skipped_steps") / self._replicas
            metrics |= of_network
        return metrics | ({"skipped_steps": skipped_steps} if self._precision == "float16" else {})

    def _train_discriminator(self, step: ScaleStep, draws: Draws) -> Metrics:
        gradients, terms = self.discriminator_gradients(step, draws)
        return terms | self._applied(self._discriminator_optimizer, gradients, step.discriminator)

    def _train_generator(self, step: ScaleStep, draws: Draws) -> Metrics:
        gradients, terms = self.generator_gradients(step, draws)
        return terms | self._applied(self._generator_optimizer, gradients, step.generator)

    def _applied(
        self, optimizer: keras.optimizers.Optimizer, gradients: list[tf.Tensor], network: keras.Model
    ) -> Metrics:
        """Takes a step of an optimizer; returns this replica's part of the square of the gradient's norm."""
        applied = apply_gradients(optimizer, gradients, network.trainable_variables)
        kind, _, _ = network.name.partition("_")
        # Each replica has 1 / replicas of the gradient.
        return {f"{kind}_gradient": self._replicas * applied.squared_norm, "skipped_steps": applied.skipped}

    def _parts_of_means(self, losses: Losses) -> Metrics:
        return {name: part_of_mean(values, self._replicas) for name, values in losses.items()}

    def _try_out(self, scale: int) -> None:
        """Takes a step and undoes it; if XLA cannot compile it, goes on without, unless the user insists on XLA."""
        self._tried_scales.add(scale)
        take_step = partial(self._replica_step, scale, tf.zeros([], tf.int64))
        if not can_compile(lambda: self._strategy.run(take_step), self._variables, self.config.xla):
            self._compiles = False
            self._scales = self._make_scales()

    def _compiled(self, function: Callable[[Draws], Metrics]) -> Callable[[Draws], Metrics]:
        """Returns a function of the random numbers, as a program compiled by XLA if that is wanted."""
        if not self._compiles:
            return function
        on_seed = tf.function(lambda seed: function(Draws(seed, 0, 1, 1)), autograph=False, jit_compile=True)
        return lambda draws: on_seed(draws.seed)


def _take_over(network: keras.Model, of_scale_below: keras.Model) -> None:
    """Copies weights, if both networks have as many filters."""
    weights = of_scale_below.get_weights()
    if [weight.shape for weight in weights] == [tuple(weight.shape) for weight in network.weights]:
        network.set_weights(weights)


def _image(size: int, channels: int) -> tf.Variable:
    return _constant(np.zeros((1, size, size, channels), np.float32))


def _constant(value: float | np.ndarray) -> tf.Variable:
    """Returns a variable that is equal on all replicas, and assigned outside of them."""
    return tf.Variable(value, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
