"""The autoencoder that initialises a generator: training it trains the generator's initial weights.

Mariani et al. 2018, the paper's first step: the decoder is the generator but for what makes its latents; squared error.
Huang and Jafari 2021, section 3.1: a supervised one. The encoder's latents are multiplied by the label embedding and
decoded; embedding and decoder are the generator; absolute error.
"""

import keras
import tensorflow as tf

from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.config import GanConfig
from melgan.images import to_signed_float
from melgan.layers.dropout import apply_network
from melgan.training.distribution import per_replica_batch_size
from melgan.training.precision import adam_of, apply_gradients, loss_scale_of, make_adam, resolve_precision
from melgan.training.randomness import Draws, draws_of_step
from melgan.training.replica import dense_gradients, part_of_mean
from melgan.training.stepping import Metrics, Program, make_program


class AutoencoderTrainer:
    """Trains encoder and decoder to reproduce images.

    Arguments:
      encoder: maps images to latents.
      decoder: maps latents, or [latents, labels], to images.
      config: resolved (`methods.resolve`); its architecture tells the error.
      strategy: in whose scope the networks are.
    """

    batches_per_step = 1

    def __init__(
        self, encoder: keras.Model, decoder: keras.Model, config: GanConfig, strategy: tf.distribute.Strategy
    ) -> None:
        self._strategy, self._config = strategy, config
        per_replica_batch_size(strategy, config.global_batch_size, "global_batch_size")
        self._encoder, self._decoder = encoder, decoder
        self._error = ARCHITECTURES[config.architecture].reconstruction_error
        precision = resolve_precision(config.precision, strategy)
        with strategy.scope():
            self._optimizer = make_adam(
                config.learning_rate, config.beta_1, config.beta_2, precision=precision, variables=self._variables
            )
        self._program = make_program(strategy, self._replica_step)

    @property
    def checkpointed(self) -> dict:
        """The contents of a checkpoint, by name; the decoder is called generator, as it once was."""
        return {"encoder": self._encoder, "generator": self._decoder, "optimizer": adam_of(self._optimizer)}

    @property
    def checkpointed_by_device(self) -> dict:
        """The contents of a checkpoint, by name, that one of another device may lack."""
        return {"loss_scale": loss_scale_of(self._optimizer)}

    def program_at(self, step: int) -> tuple[Program, int | None]:
        """Returns the program that takes every step, and None; its metric is the mean error."""
        del step
        return self._program, None

    def reconstruct(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns uint8 images `[N, H, W, 3]` passed through the autoencoder as float in [-1, 1]."""
        latents = apply_network(self._encoder, to_signed_float(images), None)
        return self._decode(latents, labels, training=False)

    def _decode(self, latents: tf.Tensor, labels: tf.Tensor, *, training: bool) -> tf.Tensor:
        """Returns images; a supervised decoder is given the labels, too."""
        inputs = [latents, labels][: len(self._decoder.inputs)]
        return self._decoder(inputs if len(inputs) > 1 else latents, training=training)

    def _replica_step(self, batches: list[dict[str, tf.Tensor]], step: tf.Tensor) -> Metrics:
        (batch,) = batches
        images = to_signed_float(batch["image"])
        with tf.GradientTape() as tape:
            latents = apply_network(self._encoder, images, self._draws(step))
            decoded = tf.cast(self._decode(latents, batch["label"], training=True), images.dtype)
            errors = tf.reduce_mean(self._error(decoded - images), axis=[1, 2, 3])
            loss = part_of_mean(errors, self._config.global_batch_size)
            scaled = self._optimizer.scale_loss(loss)
        apply_gradients(self._optimizer, dense_gradients(tape, scaled, self._variables), self._variables)
        return {"autoencoder_loss": loss}

    def _draws(self, step: tf.Tensor) -> Draws:
        """Returns the random numbers of a step. The GAN counts its attempts from 0, so -1 gives other numbers."""
        return draws_of_step(
            tf.constant([self._config.seed, -1]),
            step,
            global_batch_size=self._config.global_batch_size,
            num_replicas=self._strategy.num_replicas_in_sync,
        )

    @property
    def _variables(self) -> list:
        return self._encoder.trainable_variables + self._decoder.trainable_variables
