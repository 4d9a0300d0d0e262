"""What every architecture takes and gives."""

from dataclasses import dataclass

import keras
import tensorflow as tf


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """What decides the shape of the networks: sides in pixels, and a factor on the published number of filters."""

    image_size: int
    num_classes: int
    latent_dim: int
    width: float = 1.0


@dataclass(frozen=True)
class Discriminator:
    """A conditional discriminator in two parts, so that one pass over an image can serve several labels.

    `trunk` maps images `[N, H, W, C]` in [-1, 1] to features; `head` maps [features, labels `[N]`] to logits `[N]`.
    """

    trunk: keras.Model
    head: keras.Model

    def __call__(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns the logits `[N]` of images with their labels."""
        return self.head([self.trunk(images, training=True), labels], training=True)

    @property
    def trainable_variables(self) -> list:
        """The weights of both parts."""
        return self.trunk.trainable_variables + self.head.trainable_variables


@dataclass(frozen=True)
class Networks:
    """A pair of networks.

    `generator` maps [latents `[N, latent_dim]`, labels `[N]`] to images `[N, H, W, 3]` in [-1, 1]. `encoder` maps
    images to latents; with it, the generator can be initialised as the decoder of an autoencoder.
    """

    generator: keras.Model
    discriminator: Discriminator
    encoder: keras.Model
