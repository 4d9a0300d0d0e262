"""One training step of a conditional GAN, under any strategy.

The gradient functions are pure: weights, a batch and random numbers in, gradients and losses out. Losses are per
example, and divided by the global batch size here and nowhere else, so that the sum over replicas, which the
optimizer takes, is the mean over the global batch.
"""

from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from melgan.architectures import ARCHITECTURES
from melgan.architectures.networks import NetworkShape
from melgan.config import GanConfig
from melgan.distribution import compiles_gradients, per_replica_batch_size
from melgan.ema import warmed_up_decay
from melgan.errors import ConfigError, look_up
from melgan.gradients import dense_gradients
from melgan.images import to_signed_float
from melgan.labels import LABEL_SAMPLINGS, class_probabilities, sample_labels, wrong_labels
from melgan.objectives import OBJECTIVES
from melgan.penalties import PENALTIES
from melgan.randomness import Draws

Gradients = tuple[list[tf.Tensor], dict[str, tf.Tensor]]


class GanTrainer:
    """Holds the networks and optimizers of a GAN, and trains them.

    Arguments:
      config: resolved (`methods.resolve`): no field is None.
      class_counts: real training images of each class `[num_classes]`.
      strategy: everything is created in its scope.

    Raises:
      ConfigError: for names in no table, a batch that does not divide, or wrong labels with a single class.
    """

    batches_per_step = 1

    def __init__(self, config: GanConfig, class_counts: Sequence[int], strategy: tf.distribute.Strategy) -> None:
        if config.wrong_labels and len(class_counts) < 2:
            raise ConfigError(f"wrong_labels needs at least 2 classes; the shards have {len(class_counts)}")
        self.config = config
        self.num_classes = len(class_counts)
        self._strategy = strategy
        self._batch_size = per_replica_batch_size(strategy, config.global_batch_size, "global_batch_size")
        self._objective = look_up(OBJECTIVES, config.objective, "objective")
        self._penalty = look_up(PENALTIES, config.penalty, "penalty")
        look_up(LABEL_SAMPLINGS, config.label_sampling, "label_sampling")
        self._probabilities = class_probabilities(class_counts, config.label_sampling)
        shape = NetworkShape(
            image_size=config.image_size,
            num_classes=self.num_classes,
            latent_dim=config.latent_dim,
            width=config.width,
        )
        build = look_up(ARCHITECTURES, config.architecture, "architecture")
        keras.utils.set_random_seed(config.seed)
        with strategy.scope():
            networks = build(shape)
            self.generator, self.discriminator, self.encoder = (
                networks.generator,
                networks.discriminator,
                networks.encoder,
            )
            self.ema_generator = build(shape).generator
            self._generator_optimizer = self._make_optimizer(self.generator.trainable_variables)
            self._discriminator_optimizer = self._make_optimizer(self.discriminator.trainable_variables)
            self.attempt = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._discriminator_gradients = self._compiled(self.discriminator_gradients)
        self._generator_gradients = self._compiled(self.generator_gradients)

    @property
    def checkpointed(self) -> dict:
        """What a checkpoint of this training holds."""
        return {
            "generator": self.generator,
            "ema_generator": self.ema_generator,
            "trunk": self.discriminator.trunk,
            "head": self.discriminator.head,
            "generator_optimizer": self._generator_optimizer,
            "discriminator_optimizer": self._discriminator_optimizer,
            "attempt": self.attempt,
        }

    def start_average(self) -> None:
        """Sets the averaged generator to the generator, as before the first step."""
        self.ema_generator.set_weights(self.generator.get_weights())

    @tf.function
    def train_steps(self, batches: Iterator, step: tf.Tensor, num_steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes `num_steps` generator steps from step number `step`; returns the losses of each, `[num_steps]`.

        Each is the published one: `disc_steps` discriminator steps and one generator step on one batch of real images.
        """
        count = tf.cast(num_steps, tf.int32)
        names = ("discriminator_loss", "penalty", "generator_loss")
        steps_losses = {name: tf.TensorArray(tf.float32, count) for name in names}
        for offset in tf.range(count):
            number = step + tf.cast(offset, tf.int64)
            per_replica = self._strategy.run(self._replica_step, args=(next(batches), number))
            losses = {
                name: self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
                for name, value in per_replica.items()
            }
            steps_losses = {name: array.write(offset, losses[name]) for name, array in steps_losses.items()}
            self._update_average(number)
        return {name: array.stack() for name, array in steps_losses.items()}

    def draws(self, step: tf.Tensor | int) -> Draws:
        """Returns the random numbers of a step, for the replica in whose context this is called."""
        context = tf.distribute.get_replica_context()
        replica_id = 0 if context is None else context.replica_id_in_sync_group
        seed = tf.stack([self.config.seed, self.attempt])
        return Draws(seed, replica_id, self._batch_size, self._strategy.num_replicas_in_sync).fold(
            tf.cast(step, tf.int64)  # the numbers differ between types of integers
        )

    def discriminator_gradients(self, real_images: tf.Tensor, labels: tf.Tensor, draws: Draws) -> Gradients:
        """Returns the gradients of the discriminator's loss, and its terms, summed over this replica's examples.

        Arguments:
          real_images: `[B, H, W, 3]` in [-1, 1].
          labels: `[B]`, their classes.
          draws: random numbers of this discriminator step.
        """
        fake_images, fake_labels = self._generate(draws)
        with tf.GradientTape() as tape:
            adversarial = self._discriminator_losses(real_images, labels, fake_images, fake_labels, draws.fold(3))
            penalty = self._penalty(self.discriminator, real_images, fake_images, labels, draws.fold(4))
            loss = self._reduce(adversarial + self.config.penalty_weight * penalty)
        gradients = dense_gradients(tape, loss, self.discriminator.trainable_variables)
        return gradients, {"discriminator_loss": self._reduce(adversarial), "penalty": self._reduce(penalty)}

    def generator_gradients(self, real_images: tf.Tensor, labels: tf.Tensor, draws: Draws) -> Gradients:
        """Returns the gradients of the generator's loss, and that loss, summed over this replica's examples."""
        real_logits = self.discriminator(real_images, labels) if self._objective.needs_real_logits else None
        with tf.GradientTape() as tape:
            fake_images, fake_labels = self._generate(draws)
            fake_logits = self.discriminator(fake_images, fake_labels)
            loss = self._reduce(self._objective.generator(fake_logits, real_logits))
        return dense_gradients(tape, loss, self.generator.trainable_variables), {"generator_loss": loss}

    def _replica_step(self, batch: dict[str, tf.Tensor], step: tf.Tensor) -> dict[str, tf.Tensor]:
        real_images, labels = to_signed_float(batch["image"]), batch["label"]
        draws = self.draws(step)
        for disc_step in range(self.config.disc_steps):
            gradients, disc_losses = self._discriminator_gradients(real_images, labels, draws.fold(1 + disc_step))
            self._discriminator_optimizer.apply(gradients, self.discriminator.trainable_variables)
        gradients, gen_losses = self._generator_gradients(real_images, labels, draws.fold(0))
        self._generator_optimizer.apply(gradients, self.generator.trainable_variables)
        return disc_losses | gen_losses

    def _generate(self, draws: Draws) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns fake images `[B, H, W, 3]` and the labels `[B]` they were asked for."""
        labels = sample_labels(draws.fold(1), self._probabilities)
        latents = draws.fold(2).normal(self.config.latent_dim)
        return self.generator([latents, labels], training=True), labels

    def _discriminator_losses(
        self, real_images: tf.Tensor, labels: tf.Tensor, fake_images: tf.Tensor, fake_labels: tf.Tensor, draws: Draws
    ) -> tf.Tensor:
        """Returns the adversarial loss of each example `[B]`; one pass over the real images serves both labels."""
        trunk, head = self.discriminator.trunk, self.discriminator.head
        real_features, fake_features = trunk(real_images, training=True), trunk(fake_images, training=True)
        real_logits = head([real_features, labels], training=True)
        fake_logits = head([fake_features, fake_labels], training=True)
        wrong_label_logits = None
        if self.config.wrong_labels:
            others = wrong_labels(draws, labels, self.num_classes)
            wrong_label_logits = head([real_features, others], training=True)
        return self._objective.discriminator(real_logits, fake_logits, wrong_label_logits)

    def _reduce(self, per_example: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(per_example) / self.config.global_batch_size

    def _update_average(self, step: tf.Tensor) -> None:
        """Moves the averaged weights towards the generator's; moving statistics are taken over as they are."""
        decay = warmed_up_decay(self.config.ema_decay, step)
        pairs = zip(self.ema_generator.trainable_variables, self.generator.trainable_variables, strict=True)
        for average, value in pairs:
            average.assign(decay * average.value + (1.0 - decay) * value.value)
        pairs = zip(self.ema_generator.non_trainable_variables, self.generator.non_trainable_variables, strict=True)
        for average, value in pairs:
            average.assign(value.value)

    def _make_optimizer(self, variables: list) -> keras.optimizers.Optimizer:
        config = self.config
        optimizer = keras.optimizers.Adam(config.learning_rate, config.beta_1, config.beta_2)
        optimizer.build(variables)
        return optimizer

    def _compiled(self, function: Callable[..., Gradients]) -> Callable[..., Gradients]:
        if not compiles_gradients(self.config.xla, self._strategy):
            return function

        @tf.function(jit_compile=True)
        def on_tensors(real_images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, replica_id: tf.Tensor) -> Gradients:
            draws = Draws(seed, replica_id, self._batch_size, self._strategy.num_replicas_in_sync)
            return function(real_images, labels, draws)

        return lambda real_images, labels, draws: on_tensors(real_images, labels, draws.seed, draws.replica_id)
