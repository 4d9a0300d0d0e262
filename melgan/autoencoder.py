"""The supervised autoencoder that initialises the generator of BAGAN-GP.

Huang and Jafari 2021, section 3.1: the encoder's latents are multiplied by the label embedding and decoded; since
embedding and decoder are the generator, training the autoencoder trains the generator's initial weights.
"""

from collections.abc import Iterator

import keras
import tensorflow as tf

from melgan.config import GanConfig
from melgan.gradients import dense_gradients
from melgan.images import to_signed_float
from melgan.precision import apply_gradients, make_adam, resolve_precision
from melgan.stepping import take_steps


class AutoencoderTrainer:
    """Trains encoder and generator to reproduce images, by mean absolute error."""

    batches_per_step = 1

    def __init__(
        self, encoder: keras.Model, generator: keras.Model, config: GanConfig, strategy: tf.distribute.Strategy
    ) -> None:
        self._strategy = strategy
        self._global_batch_size = config.global_batch_size
        self._encoder, self._generator = encoder, generator
        precision = resolve_precision(config.precision, strategy)
        with strategy.scope():
            self._optimizer = make_adam(
                config.learning_rate, config.beta_1, config.beta_2, precision=precision, variables=self._variables
            )

    @property
    def checkpointed(self) -> dict:
        """What a checkpoint of this training holds."""
        return {"encoder": self._encoder, "generator": self._generator, "optimizer": self._optimizer}

    @tf.function
    def train_steps(self, batches: Iterator, step: tf.Tensor, num_steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes `num_steps` steps; returns the mean absolute error of each, in [0, 2], `[num_steps]`."""
        del step  # nothing is random here

        def take_step(number: tf.Tensor) -> tf.Tensor:
            del number
            per_replica = self._strategy.run(self._replica_step, args=(next(batches),))
            return self._strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)[None]

        return take_steps(num_steps, ("autoencoder_loss",), take_step)

    def reconstruct(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns uint8 images `[N, H, W, 3]` passed through the autoencoder as float in [-1, 1]."""
        return self._generator([self._encoder(to_signed_float(images)), labels], training=False)

    def _replica_step(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        images = to_signed_float(batch["image"])
        with tf.GradientTape() as tape:
            latents = self._encoder(images, training=True)
            decoded = tf.cast(self._generator([latents, batch["label"]], training=True), images.dtype)
            errors = tf.reduce_mean(tf.abs(decoded - images), axis=[1, 2, 3])
            loss = tf.reduce_sum(errors) / self._global_batch_size
            scaled = self._optimizer.scale_loss(loss)
        apply_gradients(self._optimizer, dense_gradients(tape, scaled, self._variables), self._variables)
        return loss

    @property
    def _variables(self) -> list:
        return self._encoder.trainable_variables + self._generator.trainable_variables
