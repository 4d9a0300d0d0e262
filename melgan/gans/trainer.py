"""One training step of a conditional GAN, under any strategy.

The gradient functions are pure: weights, a batch and random numbers in, gradients and losses out. Losses are per
example, and divided by the global batch size here and nowhere else, so that the sum over replicas, which the
optimizer takes, is the mean over the global batch.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import keras
import tensorflow as tf
from absl import logging

from melgan.gans.architectures import ARCHITECTURES, build_networks
from melgan.gans.architectures.networks import Level
from melgan.gans.augmentations import AUGMENTATIONS
from melgan.gans.augmentations.ada import adapted
from melgan.gans.boxes import table_of
from melgan.gans.combinations import require_possible
from melgan.gans.config import GanConfig
from melgan.gans.fading import at_level, grow
from melgan.gans.growth import growth_of
from melgan.gans.labels import class_probabilities, labels_of_fakes, wrong_labels
from melgan.gans.objectives import OBJECTIVES
from melgan.gans.penalties import PENALTIES, RealAndFake
from melgan.images import to_signed_float
from melgan.layers.box_map import rasterise
from melgan.layers.spectral import advance_power_iterations
from melgan.training.distribution import compiles_gradients, per_replica_batch_size
from melgan.training.precision import apply_gradients, layers_computing_in, make_adam, reset_moments, resolve_precision
from melgan.training.randomness import Draws
from melgan.training.replica import dense_gradients
from melgan.training.schedules import Schedules
from melgan.training.stepping import take_steps

Gradients = tuple[list[tf.Tensor], tuple[tf.Tensor, ...]]


class GanTrainer:
    """Holds the networks and optimizers of a GAN, and trains them.

    Arguments:
      config: resolved (`methods.resolve`).
      class_counts: real training images of each class `[num_classes]`.
      strategy: everything is created in its scope.

    Raises:
      ConfigError: for settings that cannot work together (`require_possible`), or a batch that does not divide.
    """

    def __init__(self, config: GanConfig, class_counts: Sequence[int], strategy: tf.distribute.Strategy) -> None:
        require_possible(config, class_counts)
        self.config = config
        self.num_classes = len(class_counts)
        self._strategy = strategy
        self._batch_size = per_replica_batch_size(strategy, config.global_batch_size, "global_batch_size")
        self._objective = OBJECTIVES[config.objective]
        self._penalty = PENALTIES[config.penalty]
        self._augmentation = AUGMENTATIONS[config.augmentation]
        self._takes_boxes = ARCHITECTURES[config.architecture].takes_boxes
        self._probabilities = class_probabilities(class_counts, config.label_sampling)
        self._compiles = compiles_gradients(config.xla, strategy)
        precision = resolve_precision(config.precision, strategy)
        burn_in_images = (config.burn_in_epochs or 0.0) * sum(class_counts)
        self.schedules = Schedules(burn_in_images, config.global_batch_size)
        keras.utils.set_random_seed(config.seed)
        with strategy.scope(), layers_computing_in(precision):
            networks = build_networks(config, self.num_classes)
            self.generator, self.discriminator = networks.generator, networks.discriminator
            self.encoder, self.decoder = networks.encoder, networks.decoder
            self.class_gaussians, self._encoder_trunk = networks.class_gaussians, networks.encoder_trunk
            average = build_networks(config, self.num_classes)
            self.ema_generator = average.generator
            self._penalty_weight = self.schedules.setting(config.penalty_weight, config.final_penalty_weight)
            beta_2 = self.schedules.setting(config.beta_2, config.final_beta_2)
            optimizer = partial(make_adam, beta_1=config.beta_1, beta_2=beta_2, precision=precision)
            rate = self.schedules.setting(config.learning_rate, config.final_learning_rate)
            self._generator_optimizer = optimizer(rate, variables=self.generator.trainable_variables)
            disc_rate = config.discriminator_learning_rate or config.learning_rate
            disc_rate = self.schedules.setting(disc_rate, config.final_learning_rate)
            self._discriminator_optimizer = optimizer(disc_rate, variables=self.discriminator.trainable_variables)
            self.attempt = _counter(0, tf.int32)
            self.strength = _counter(0.0, keras.config.floatx())
        self.metric_names = ("discriminator_loss", "penalty", "real_sign", "discriminator_gradient")
        self.metric_names += ("generator_loss", "generator_gradient")
        self.metric_names += ("skipped_steps",) if precision == "float16" else ()
        self.growth = growth_of(config, class_counts)
        self._whole = (self.generator, self.ema_generator, self.discriminator.trunk)
        self._level = None
        self._compile()
        pairs = zip(networks.levels, average.levels, strict=True)
        self.levels = [self._at(number, *pair) for number, pair in enumerate(pairs)] or [self]

    @property
    def batches_per_step(self) -> int:
        """How many batches of real images a step takes."""
        return self.config.disc_steps + self._objective.needs_real_logits if self.config.fresh_batches else 1

    @property
    def checkpointed(self) -> dict:
        """What a checkpoint of this training holds."""
        fitted_with = {} if self.class_gaussians is None else {"encoder": self.encoder}
        return fitted_with | {
            "generator": self.generator,
            "ema_generator": self.ema_generator,
            "trunk": self.discriminator.trunk,
            "head": self.discriminator.head,
            "generator_optimizer": self._generator_optimizer,
            "discriminator_optimizer": self._discriminator_optimizer,
            "attempt": self.attempt,
            "strength": self.strength,
        }

    def start_average(self) -> None:
        """Sets the averaged generator to the generator, as before the first step."""
        self.ema_generator.set_weights(self.generator.get_weights())

    def start_discriminator(self) -> None:
        """Sets the trunk of the discriminator to that of the encoder, if it starts as that."""
        if self._encoder_trunk is not None:
            self.discriminator.trunk.set_weights(self._encoder_trunk.get_weights())

    def train_steps(self, batches: Iterator, step: tf.Tensor, num_steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes `num_steps` generator steps from step number `step`; returns what each of them measured.

        Each is the published one: `disc_steps` discriminator steps and one generator step, on one batch of real images
        or, with `fresh_batches`, on a batch of its own for each discriminator step, and for the generator step where
        its loss looks at real images.

        Returns:
          By name, `[num_steps]`: losses and the sign of the logits of real images (means over the batch and the
          discriminator steps), and norms of gradients (over several replicas, the root of the sum of their squares).
        """
        parts = []
        for first, count in self.growth.parts(int(step), int(num_steps)):
            if self.growth.begins_phase(first):
                self._begin_phase(first)
            trainer = self.levels[self.growth.level(first)]
            parts.append(trainer._take_steps(batches, tf.constant(first, tf.int64), tf.constant(count, tf.int64)))
        return {name: tf.concat([part[name] for part in parts], axis=0) for name in parts[0]}

    @tf.function(autograph=False)
    def _take_steps(self, batches: Iterator, step: tf.Tensor, num_steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes steps of one level."""

        def take_step(number: tf.Tensor) -> tf.Tensor:
            grow(self.growth.degree(step + number), *self._whole)
            own_batches = [next(batches) for _ in range(self.batches_per_step)]
            self.schedules.set_for(step + number)
            per_replica = self._strategy.run(self._replica_step, args=(own_batches, step + number))
            self._update_average(step + number)
            measured = self._strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)
            if self._augmentation.adaptive:
                images = self.config.global_batch_size * self.config.disc_steps
                real_sign = measured[self.metric_names.index("real_sign")]
                self.strength.assign(adapted(self.strength.read_value(), real_sign, images))
            return measured

        values = take_steps(num_steps, self.metric_names, take_step)
        norms = {name: tf.sqrt(value) for name, value in values.items() if name.endswith("_gradient")}
        return values | norms

    def draws(self, step: tf.Tensor | int) -> Draws:
        """Returns the random numbers of a step, for the replica in whose context this is called."""
        context = tf.distribute.get_replica_context()
        replica_id = 0 if context is None else context.replica_id_in_sync_group
        seed = tf.stack([tf.constant(self.config.seed, tf.int32), self.attempt.read_value()])
        return self._draws(seed, replica_id).fold(
            tf.cast(step, tf.int64)  # the numbers differ between types of integers
        )

    def generate(self, real_labels: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns fake images as they are shown, never in half precision, and the labels `[B]` they were asked for.

        Arguments:
          real_labels: `[B]`, of the real images that the fakes stand beside; they count for `paired` labels only.
          draws: random numbers of this step.
        """
        labels = labels_of_fakes(draws.fold(1), real_labels, self._probabilities)
        latents = draws.fold(2).normal(self.config.latent_dim)
        images = tf.cast(self.generator([latents, labels], training=True), keras.config.floatx())
        if self._takes_boxes:
            images = _with_map(images, table_of(self.generator)(latents, labels))
        return images, labels

    def as_shown(self, batch: dict[str, tf.Tensor], step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns a batch with images as they are shown to the discriminator at a step.

        They are in [-1, 1], of no more detail than networks that grow have at the step, `[B, H, W, 3]` or, where the
        architecture takes boxes, with the map of theirs as the fourth channel.
        """
        images = to_signed_float(batch["image"])
        if self._level is not None:
            images = at_level(images, self._level, self.growth.degree(step))
        if self._takes_boxes:
            images = _with_map(images, batch["boxes"])
        return batch | {"image": images}

    def discriminator_gradients(
        self,
        real_images: tf.Tensor,
        labels: tf.Tensor,
        fake_images: tf.Tensor,
        fake_labels: tf.Tensor,
        draws: Draws,
        *,
        penalised: bool = True,
    ) -> Gradients:
        """Returns the gradients of the discriminator's scaled loss, summed over this replica's examples, and the terms.

        Arguments:
          real_images: as they are shown, `[B, H, W, C]` in [-1, 1].
          labels: `[B]`, their classes.
          fake_images: likewise, `[B, H, W, C]`.
          fake_labels: `[B]`, the classes they were asked for.
          draws: random numbers of this discriminator step.
          penalised: whether the gradient penalty is due.

        Returns:
          Gradients, and (adversarial loss, penalty, mean sign of the logits of real images), each `[]`.
        """
        real_images = self._augment(real_images, draws.fold(5))
        fake_images = self._augment(fake_images, draws.fold(6))
        shown = RealAndFake(real_images, labels, fake_images, fake_labels)
        with tf.GradientTape() as tape:
            losses, taken_for_real = self._discriminator_losses(shown, draws)
            loss = adversarial = self._reduce(losses)
            penalty = tf.zeros_like(loss)
            if penalised:
                # A penalty that is due only now and then counts as often as it was left out.
                penalties = self._penalty(self.discriminator.dropping(draws.fold(9)), shown, draws.fold(4))
                penalty = self.config.penalty_interval * self._reduce(penalties)
                loss += self._penalty_weight * penalty
            scaled = self._discriminator_optimizer.scale_loss(loss)
        terms = (adversarial, penalty, self._reduce(tf.sign(taken_for_real)))
        return dense_gradients(tape, scaled, self.discriminator.trainable_variables), terms

    def generator_gradients(self, real_images: tf.Tensor, labels: tf.Tensor, draws: Draws) -> Gradients:
        """Returns the gradients of the generator's scaled loss, summed over this replica's examples, and (loss,)."""
        real_logits = None
        if self._objective.needs_real_logits:
            discriminator = self.discriminator.dropping(draws.fold(7))
            real_logits = discriminator(self._augment(real_images, draws.fold(5)), labels)
        with tf.GradientTape() as tape:
            fake_images, fake_labels = self.generate(labels, draws)
            discriminator = self.discriminator.dropping(draws.fold(8))
            fake_logits = discriminator(self._augment(fake_images, draws.fold(6)), fake_labels)
            loss = self._reduce(self._objective.generator(fake_logits, real_logits))
            scaled = self._generator_optimizer.scale_loss(loss)
        return dense_gradients(tape, scaled, self.generator.trainable_variables), (loss,)

    def _replica_step(self, batches: list[dict[str, tf.Tensor]], step: tf.Tensor) -> tf.Tensor:
        """Takes a whole step on this replica; returns its values, in the order of `metric_names`."""
        draws, disc_steps = self.draws(step), self.config.disc_steps
        batches = [self.as_shown(batch, step) for batch in batches]
        disc_values = []
        for disc_step in range(disc_steps):
            batch = batches[disc_step % len(batches)]
            disc_values.append(
                self._discriminator_step(batch, draws.fold(1 + disc_step), step * disc_steps + disc_step)
            )
        *disc_values, disc_skipped = tf.unstack(tf.add_n(disc_values) / disc_steps)
        real_images, labels = batches[-1]["image"], batches[-1]["label"]
        gradients, (loss,) = self._generator_gradients(real_images, labels, draws.fold(0))
        advance_power_iterations(self.generator)
        squared_norm, skipped = apply_gradients(
            self._generator_optimizer, gradients, self.generator.trainable_variables
        )
        skipped_steps = (disc_skipped * disc_steps + skipped) / self._strategy.num_replicas_in_sync
        return tf.stack([*disc_values, loss, squared_norm, skipped_steps][: len(self.metric_names)])

    def _discriminator_step(self, batch: dict[str, tf.Tensor], draws: Draws, number: tf.Tensor) -> tf.Tensor:
        """Takes discriminator step `number` of all; returns [loss, penalty, real sign, squared gradient, skipped]."""
        real_images, labels = batch["image"], batch["label"]
        fake_images, fake_labels = self._generate(labels, draws)

        def gradients(penalised: bool) -> Gradients:
            return self._discriminator_gradients[penalised](real_images, labels, fake_images, fake_labels, draws)

        if self.config.penalty_interval == 1:
            values, losses = gradients(self.config.has_penalty)
        else:
            due = number % self.config.penalty_interval == 0
            values, losses = tf.cond(due, partial(gradients, True), partial(gradients, False))
        advance_power_iterations(self.discriminator.trunk, self.discriminator.head)
        applied = apply_gradients(self._discriminator_optimizer, values, self.discriminator.trainable_variables)
        return tf.stack([*losses, *applied])

    def _discriminator_losses(self, shown: RealAndFake, draws: Draws) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns adversarial losses `[B]`, and what is positive of real images taken for real `[B]`.

        One pass over real images serves both labels.
        """
        real_features = self.discriminator.dropping(draws.fold(7)).features(shown.real_images)
        fake_features = self.discriminator.dropping(draws.fold(8)).features(shown.fake_images)
        if self._objective.has_fake_class:
            return self._class_losses(real_features, shown.real_labels, fake_features)
        real_logits = self.discriminator.judge(real_features, shown.real_labels)
        fake_logits = self.discriminator.judge(fake_features, shown.fake_labels)
        wrong_label_logits = None
        if self.config.wrong_labels:
            others = wrong_labels(draws.fold(3), shown.real_labels, self.num_classes)
            wrong_label_logits = self.discriminator.judge(real_features, others)
        return self._objective.discriminator(real_logits, fake_logits, wrong_label_logits), real_logits

    def _class_losses(
        self, real_features: tf.Tensor, labels: tf.Tensor, fake_features: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the like for a discriminator with a class of its own for fakes, which are as many as of any other.

        An image is taken for real if it is likelier among real images than among fakes, 1 in num_classes + 1: if the
        logit of "fake" is below that share's.
        """
        fake_class = tf.fill(labels.shape, self.num_classes)
        real_logits = self.discriminator.judge(real_features, labels)
        fake_logits = self.discriminator.judge(fake_features, fake_class) / self.num_classes
        taken_for_fake = self.discriminator.judge(real_features, fake_class)
        undecided = -math.log(self.num_classes + 1)
        return self._objective.discriminator(real_logits, fake_logits, None), undecided - taken_for_fake

    def _augment(self, images: tf.Tensor, draws: Draws) -> tf.Tensor:
        return self._augmentation.augment(images, draws, self.strength.read_value())

    def _reduce(self, per_example: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(per_example) / self.config.global_batch_size

    def _update_average(self, step: tf.Tensor) -> None:
        """Moves the averaged weights towards the generator's; moving statistics are taken over as they are."""
        decay = self.schedules.average_decay(self.config.ema_decay, step)
        pairs = zip(self.ema_generator.trainable_variables, self.generator.trainable_variables, strict=True)
        for average, value in pairs:
            average.assign(decay * average.value + (1.0 - decay) * value.value)
        pairs = zip(self.ema_generator.non_trainable_variables, self.generator.non_trainable_variables, strict=True)
        for average, value in pairs:
            average.assign(value.value)

    def _begin_phase(self, step: int) -> None:
        """Lets the optimizers begin anew, as in the authors' code: other weights matter from here on."""
        logging.info("step %d: level %d, up to %d px", step, self.growth.level(step), self.growth.resolution(step))
        for optimizer in (self._generator_optimizer, self._discriminator_optimizer):
            reset_moments(optimizer)

    def _at(self, number: int, level: Level, average: Level) -> "GanTrainer":
        """Returns this trainer at a level of growing networks: all that it holds is shared."""
        trainer = copy.copy(self)
        trainer._level = number
        trainer.generator, trainer.discriminator = level.generator, level.discriminator
        trainer.ema_generator = average.generator
        trainer._compile()
        return trainer

    def _compile(self) -> None:
        """Makes programs of the gradient functions of these networks."""
        self._generate = self._compiled(self.generate)
        self._generator_gradients = self._compiled(self.generator_gradients)
        self._discriminator_gradients = {
            penalised: self._compiled(partial(self.discriminator_gradients, penalised=penalised))
            for penalised in (False, True)
        }

    def _compiled(self, function: Callable) -> Callable:
        """Returns function(*tensors, draws), as a program compiled by XLA where that pays."""
        if not self._compiles:
            return function

        @tf.function(autograph=False, jit_compile=True)
        def on_tensors(seed: tf.Tensor, replica_id: tf.Tensor, *tensors: tf.Tensor) -> tuple:
            return function(*tensors, self._draws(seed, replica_id))

        return lambda *arguments: on_tensors(arguments[-1].seed, arguments[-1].replica_id, *arguments[:-1])

    def _draws(self, seed: tf.Tensor, replica_id: tf.Tensor | int) -> Draws:
        return Draws(seed, replica_id, self._batch_size, self._strategy.num_replicas_in_sync)


def _with_map(images: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Returns images `[B, H, W, 3]` with the map of their boxes `[B, M, 4]` as the fourth channel."""
    return tf.concat([images, rasterise(boxes, images.shape[1])], axis=-1)


def _counter(value: float, dtype: tf.DType | str) -> tf.Variable:
    """Returns a variable that is equal on all replicas, and assigned outside of them."""
    aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(value, dtype=dtype, trainable=False, aggregation=aggregation)
