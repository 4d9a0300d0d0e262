"""Training of a conditional GAN under any strategy: optimizers, schedules, growth, averages.

The losses stand in `step.py`. Here they are averaged over the global batch, differentiated and applied. On one GPU, XLA
compiles the step of each network as a whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import keras
import tensorflow as tf
from absl import logging

from melgan.gans.architectures import build_networks
from melgan.gans.architectures.networks import Level, Networks
from melgan.gans.augmentations import AUGMENTATIONS
from melgan.gans.augmentations.ada import adapted
from melgan.gans.auxiliaries import AUXILIARIES
from melgan.gans.combinations import require_possible
from melgan.gans.config import GanConfig
from melgan.gans.fading import grow
from melgan.gans.growth import growth_of
from melgan.gans.labels import class_probabilities
from melgan.gans.objectives import OBJECTIVES
from melgan.gans.penalties import PENALTIES, RealAndFake
from melgan.gans.regularisers import REGULARISERS
from melgan.gans.regularisers.interface import Subject, Sums
from melgan.gans.step import GanStep
from melgan.gans.transition import transition_of
from melgan.layers.box_map import MAX_BOXES
from melgan.layers.class_fraction import set_class_fraction
from melgan.layers.spectral import advance_power_iterations
from melgan.training.averaging import copy_values, update_average
from melgan.training.compiling import can_compile, compiles
from melgan.training.distribution import per_replica_batch_size
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
from melgan.training.schedules import Schedules
from melgan.training.stepping import Metrics, Program, make_program, mean_metrics, with_roots

_GENERATOR_STEP, _FIRST_DISCRIMINATOR_STEP = 0, 1  # uses of the random numbers of a step
_NORMS = ("discriminator_gradient", "generator_gradient")


class Gradients(NamedTuple):
    """Gradients of a network's weights, this replica's part of each term, what the regulariser is to learn."""

    of_weights: list[tf.Tensor]
    terms: Metrics
    found: Sums


@dataclass(frozen=True)
class _TrainedLevel:
    """Networks at one resolution in training: their losses, the generator's average, and the functions they run as."""

    step: GanStep
    average: keras.Model
    train_discriminator: Callable[..., Metrics]
    train_generator: Callable[..., Metrics]
    program: Program


class GanTrainer:
    """The networks and optimizers of a GAN in training.

    `networks` are those that are trained, `average` those whose generator is the moving average. `attempt` counts the
    rollbacks, `strength` belongs to an adaptive augmentation.

    Arguments:
      config: resolved (`methods.resolve`).
      class_counts: real training images of each class `[num_classes]`.
      strategy: everything is created in its scope.

    Raises:
      ConfigError: for settings that cannot work together (`require_possible`), or a batch that does not divide.
    """

    def __init__(self, config: GanConfig, class_counts: Sequence[int], strategy: tf.distribute.Strategy) -> None:
        require_possible(config, class_counts)
        per_replica_batch_size(strategy, config.global_batch_size, "global_batch_size")
        self.config, self._strategy, self._class_counts = config, strategy, tuple(class_counts)
        self._compiles = compiles(config.xla, strategy)
        self._precision = resolve_precision(config.precision, strategy)
        self.growth = growth_of(config, class_counts)
        self.transition = transition_of(config, class_counts)
        self.schedules = Schedules((config.burn_in_epochs or 0.0) * sum(class_counts), config.global_batch_size)
        keras.utils.set_random_seed(config.seed)
        with strategy.scope(), layers_computing_in(self._precision):
            self.networks = build_networks(config, len(class_counts))
            self.average = build_networks(config, len(class_counts))
            self._regulariser = REGULARISERS[config.regulariser](Subject(self.networks.generator, self._class_counts))
            self._penalty_weight = self.schedules.setting(config.penalty_weight, config.final_penalty_weight)
            self._generator_optimizer, self._discriminator_optimizer = self._make_optimizers()
            self.attempt = _counter(0, tf.int32)
            self.strength = _counter(0.0, keras.config.floatx())
            self.conditional_fraction = _counter(1.0, keras.config.floatx())
        self._levels = self._make_levels()
        self._tried_levels: set[int] = set()

    @property
    def batches_per_step(self) -> int:
        """The number of batches of real images that a step takes."""
        if not self.config.fresh_batches:
            return 1
        return self.config.disc_steps + OBJECTIVES[self.config.objective].needs_real_logits

    @property
    def checkpointed(self) -> dict:
        """The contents of a checkpoint, by name."""
        fitted_with = {} if self.networks.class_gaussians is None else {"encoder": self.networks.encoder}
        contents = fitted_with | {
            **self.networks.generator_parts,
            "ema_generator": self.average.generator,
            **self.networks.discriminator.parts,
            "generator_optimizer": adam_of(self._generator_optimizer),
            "discriminator_optimizer": adam_of(self._discriminator_optimizer),
            "attempt": self.attempt,
            "strength": self.strength,
        }
        memory = [variable.value for variable in self._regulariser.memory]
        return contents | ({"regulariser": memory} if memory else {})

    @property
    def checkpointed_by_device(self) -> dict:
        """The contents of a checkpoint, by name, that one of another device may lack."""
        optimizers = {"generator": self._generator_optimizer, "discriminator": self._discriminator_optimizer}
        return {f"{name}_loss_scale": loss_scale_of(optimizer) for name, optimizer in optimizers.items()}

    def start_average(self) -> None:
        """Sets the averaged generator to the generator, as before the first step."""
        self.average.generator.set_weights(self.networks.generator.get_weights())

    def start_discriminator(self) -> None:
        """Copies the trunk of the encoder to the discriminator, if the discriminator starts from it."""
        if self.networks.encoder_trunk is not None:
            self.networks.discriminator.trunk.set_weights(self.networks.encoder_trunk.get_weights())

    def program_at(self, step: int) -> tuple[Program, int | None]:
        """Returns the program that takes steps from `step` on, and the first step of another one, None: never.

        A step is the published one: `disc_steps` discriminator steps and one generator step, on one batch of real
        images or, with `fresh_batches`, on a batch of its own for each discriminator step, and for the generator step
        where its loss looks at real images. Its metrics are losses and the sign of the logits of real images (means
        over the batch and the discriminator steps), and norms of gradients (over several replicas, the root of the sum
        of their squares).

        Where a phase of growth begins, the optimizers begin anew, as in the authors' code: other weights matter.
        """
        if self.growth.begins_phase(step):
            resolution = self.growth.resolution(step)
            logging.info("step %d: level %d, up to %d px", step, self.growth.level(step), resolution)
            for optimizer in (self._generator_optimizer, self._discriminator_optimizer):
                reset_moments(optimizer)
        level = self.growth.level(step)
        if self._compiles and level not in self._tried_levels:
            self._try_out(level)
        return self._levels[level].program, self.growth.next_phase(step)

    def step_at(self, level: int = -1) -> GanStep:
        """Returns the losses of a level, by default of the last one."""
        return self._levels[level].step

    def draws(self, step: tf.Tensor | int) -> Draws:
        """Returns the random numbers of a step, for the replica in whose context this is called."""
        seed = tf.stack([tf.constant(self.config.seed, tf.int32), self.attempt.read_value()])
        return draws_of_step(seed, step, **self._batch)

    def discriminator_gradients(
        self, step: GanStep, shown: RealAndFake, draws: Draws, *, penalised: bool = True
    ) -> Gradients:
        """Returns the gradients of the discriminator's scaled loss, summed over this replica's examples, and its terms.

        Arguments:
          step: the losses.
          shown: real images and fakes, as they are shown.
          draws: random numbers of this discriminator step.
          penalised: whether the penalty is due.
        """
        with tf.GradientTape() as tape:
            losses, found = step.discriminator_losses(shown, draws, penalised=penalised)
            terms = self._parts_of_means(losses)
            # A penalty that is due only now and then counts as often as it was left out.
            terms["penalty"] *= self.config.penalty_interval
            loss = self._sum_of_terms(terms, "discriminator", self._penalty_weight if penalised else None)
            scaled = self._discriminator_optimizer.scale_loss(loss)
        return Gradients(dense_gradients(tape, scaled, step.discriminator.trainable_variables), terms, found)

    def generator_gradients(
        self, step: GanStep, real_images: tf.Tensor, real_labels: tf.Tensor, draws: Draws
    ) -> Gradients:
        """Returns the gradients of the generator's scaled loss, summed over this replica's examples, and its terms."""
        with tf.GradientTape() as tape:
            losses, found = step.generator_losses(real_images, real_labels, draws)
            terms = self._parts_of_means(losses)
            scaled = self._generator_optimizer.scale_loss(self._sum_of_terms(terms, "generator"))
        return Gradients(dense_gradients(tape, scaled, step.generator_variables), terms, found)

    @property
    def _batch(self) -> dict[str, int]:
        replicas = self._strategy.num_replicas_in_sync
        return {"global_batch_size": self.config.global_batch_size, "num_replicas": replicas}

    def _make_optimizers(self) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
        """Returns Adam for the generator and for the discriminator; some settings follow schedules."""
        config, setting = self.config, self.schedules.setting
        beta_2 = setting(config.beta_2, config.final_beta_2)
        adam = partial(make_adam, beta_1=config.beta_1, beta_2=beta_2, precision=self._precision)
        rate = setting(config.learning_rate, config.final_learning_rate)
        generator = adam(rate, variables=self.networks.generator_variables)
        rate = setting(config.discriminator_learning_rate or config.learning_rate, config.final_learning_rate)
        return generator, adam(rate, variables=self.networks.discriminator.trainable_variables)

    def _make_levels(self) -> list[_TrainedLevel]:
        pairs = list(zip(self.networks.levels, self.average.levels, strict=True)) or [(self.networks, self.average)]
        return [self._trained(number, *pair) for number, pair in enumerate(pairs)]

    def _try_out(self, number: int) -> None:
        """Takes a step and undoes it; if XLA cannot compile it, goes on without, unless the user insists on XLA."""
        self._tried_levels.add(number)
        size, side = self.config.global_batch_size, self.config.image_size
        batch = {"image": tf.zeros([size, side, side, 3], tf.uint8), "label": tf.zeros([size], tf.int32)}
        if self.networks.box_table is not None:
            batch["boxes"] = tf.zeros([size, MAX_BOXES, 4])
        batches = [batch] * self.batches_per_step
        take_step = partial(self._replica_step, number, batches, tf.zeros([], tf.int64))
        if not can_compile(lambda: self._strategy.run(take_step), self._assigned_in_steps, self.config.xla):
            self._compiles = False
            self._levels = self._make_levels()

    @property
    def _assigned_in_steps(self) -> list[tf.Variable]:
        parts = (*self.networks.generator_parts.values(), *self.networks.discriminator.parts.values())
        parts += (self._generator_optimizer, self._discriminator_optimizer)
        variables = [variable for part in parts for variable in part.variables]
        return [variable.value for variable in (*variables, *self._regulariser.memory)]

    def _trained(self, number: int, trained: Level | Networks, average: Level | Networks) -> _TrainedLevel:
        """Returns networks of a level with what they need to be trained."""
        config = self.config
        step = GanStep(
            generator=trained.generator,
            generator_variables=trained.generator_variables,
            low_generator=self.networks.low_generator,
            discriminator=trained.discriminator,
            box_table=self.networks.box_table,
            level=number if self.networks.levels else None,
            num_classes=len(self._class_counts),
            latent_dim=config.latent_dim,
            objective=OBJECTIVES[config.objective],
            penalty=PENALTIES[config.penalty],
            regulariser=self._regulariser,
            auxiliary=AUXILIARIES[config.auxiliary],
            auxiliary_weight=config.auxiliary_weight,
            unconditional_weight=config.unconditional_weight,
            conditional_fraction=self.conditional_fraction,
            augmentation=AUGMENTATIONS[config.augmentation].of_parts(config.augmentation_policy),
            strength=self.strength,
            label_probabilities=class_probabilities(self._class_counts, config.label_sampling),
            has_wrong_labels=config.wrong_labels,
        )
        return _TrainedLevel(
            step=step,
            average=average.generator,
            train_discriminator=self._compiled(partial(self._train_discriminator, step)),
            train_generator=self._compiled(partial(self._train_generator, step)),
            program=make_program(
                self._strategy,
                partial(self._replica_step, number),
                batches_per_step=self.batches_per_step,
                before_step=self._before_step,
                after_step=partial(self._after_step, number),
                after_steps=partial(with_roots, names=_NORMS),
            ),
        )

    def _before_step(self, step: tf.Tensor) -> None:
        grow(self.growth.degree(step), *self._growing)
        self.schedules.set_for(step)
        if self.transition is not None:
            self.conditional_fraction.assign(self.transition.fraction(step))
            set_class_fraction(self.transition.fraction(step), self.networks.generator, self.average.generator)

    def _after_step(self, number: int, step: tf.Tensor, metrics: Metrics) -> None:
        """Moves the average, copies moving statistics, and adapts the strength of augmentation."""
        level = self._levels[number]
        decay = self.schedules.average_decay(self.config.ema_decay, step)
        update_average(level.average.trainable_variables, level.step.generator.trainable_variables, decay)
        copy_values(level.average.non_trainable_variables, level.step.generator.non_trainable_variables)
        if level.step.augmentation.adaptive:
            images = self.config.global_batch_size * self.config.disc_steps
            self.strength.assign(adapted(self.strength.read_value(), metrics["real_sign"], images))

    def _replica_step(self, number: int, batches: list[dict[str, tf.Tensor]], step: tf.Tensor) -> Metrics:
        """Takes a whole step on this replica; returns its part of every metric, of norms the squares."""
        level, disc_steps, draws = self._levels[number], self.config.disc_steps, self.draws(step)
        shown = [level.step.as_shown(batch, self.growth.degree(step)) for batch in batches]
        parts = []
        for turn in range(disc_steps):
            own = draws.fold(_FIRST_DISCRIMINATOR_STEP + turn)
            number_of_turn = step * disc_steps + turn
            parts.append(level.train_discriminator(*_images_and_labels(shown[turn % len(shown)]), number_of_turn, own))
        metrics = mean_metrics(parts)
        skipped = disc_steps * metrics.pop("skipped_steps")
        metrics |= level.train_generator(*_images_and_labels(shown[-1]), draws.fold(_GENERATOR_STEP))
        skipped_steps = (skipped + metrics.pop("skipped_steps")) / self._strategy.num_replicas_in_sync
        return metrics | ({"skipped_steps": skipped_steps} if self._precision == "float16" else {})

    def _train_discriminator(
        self, step: GanStep, images: tf.Tensor, labels: tf.Tensor, number: tf.Tensor, draws: Draws
    ) -> Metrics:
        """Takes discriminator step `number` of the training on real images as they are shown, and their labels."""
        shown = RealAndFake(images, labels, *step.generate(labels, draws))
        penalised = partial(self.discriminator_gradients, step, shown, draws)
        unpenalised = partial(penalised, penalised=False)
        interval = self.config.penalty_interval
        if not self.config.has_penalty:
            gradients = unpenalised()
        elif interval == 1:
            gradients = penalised()
        else:
            gradients = tf.cond(number % interval == 0, penalised, unpenalised)
        if self._regulariser.discriminator is not None:
            self._regulariser.learn(gradients.found)
        discriminator, optimizer = step.discriminator, self._discriminator_optimizer
        advance_power_iterations(*discriminator.parts.values())
        applied = apply_gradients(optimizer, gradients.of_weights, discriminator.trainable_variables)
        return gradients.terms | {"discriminator_gradient": applied.squared_norm, "skipped_steps": applied.skipped}

    def _train_generator(self, step: GanStep, images: tf.Tensor, labels: tf.Tensor, draws: Draws) -> Metrics:
        """Takes a generator step beside real images as they are shown, and their labels."""
        gradients = self.generator_gradients(step, images, labels, draws)
        if self._regulariser.generator is not None:
            self._regulariser.learn(gradients.found)
        advance_power_iterations(step.generator)
        applied = apply_gradients(self._generator_optimizer, gradients.of_weights, step.generator_variables)
        return gradients.terms | {"generator_gradient": applied.squared_norm, "skipped_steps": applied.skipped}

    @property
    def _growing(self) -> tuple[keras.Model, ...]:
        """The whole networks, whose layers know how far each resolution has faded in."""
        return self.networks.generator, self.average.generator, self.networks.discriminator.trunk

    def _parts_of_means(self, losses: Metrics) -> Metrics:
        return {name: part_of_mean(values, self.config.global_batch_size) for name, values in losses.items()}

    def _sum_of_terms(self, terms: Metrics, network: str, penalty: float | tf.Variable | None = None) -> tf.Tensor:
        """Returns the loss of a network and its other terms by their weights, of which that of the penalty is given."""
        conditional, unconditional = self._weights_of_heads
        loss = conditional * terms[f"{network}_loss"]
        if penalty is not None:
            loss += penalty * terms["penalty"]
        weights = {
            f"{network}_auxiliary": conditional * self.config.auxiliary_weight,
            f"{network}_unconditional": unconditional,
            f"{network}_regulariser": self.config.regulariser_weight,
        }
        for name, weight in weights.items():
            loss = loss + weight * terms[name] if name in terms else loss
        return loss

    @property
    def _weights_of_heads(self) -> tuple[float | tf.Tensor, float | None]:
        """The weights of the losses that know the class, and of that which does not."""
        unconditional = self.config.unconditional_weight
        if self.transition is not None:
            return self.conditional_fraction.read_value(), unconditional
        if self.networks.low_generator is not None:  # as Khorram et al. 2024 have it, they add up to 1
            return 1 / (1 + unconditional), unconditional / (1 + unconditional)
        return 1.0, unconditional

    def _compiled(self, function: Callable) -> Callable:
        """Returns function(*tensors, draws), as a program compiled by XLA if that is wanted."""
        if not self._compiles:
            return function

        @tf.function(autograph=False, jit_compile=True)
        def on_tensors(seed: tf.Tensor, replica_id: tf.Tensor, *tensors: tf.Tensor) -> tuple:
            batch_size = self.config.global_batch_size // self._strategy.num_replicas_in_sync
            return function(*tensors, Draws(seed, replica_id, batch_size, self._strategy.num_replicas_in_sync))

        return lambda *arguments: on_tensors(arguments[-1].seed, arguments[-1].replica_id, *arguments[:-1])


def _images_and_labels(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    return batch["image"], batch["label"]


def _counter(value: float, dtype: tf.DType | str) -> tf.Variable:
    """Returns a variable that is equal on all replicas, and assigned outside of them."""
    aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(value, dtype=dtype, trainable=False, aggregation=aggregation)
