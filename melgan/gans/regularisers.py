"""Regularisers: terms that are added to the losses of either network, per example; REGULARISERS table."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from melgan.gans.penalties import Discriminate, RealAndFake
from melgan.training.randomness import Draws


@dataclass(frozen=True)
class DiscriminatorPass:
    """Images that the discriminator was shown in a step, and its logits `[N]` of real and fake ones."""

    discriminate: Discriminate
    shown: RealAndFake
    real_logits: tf.Tensor
    fake_logits: tf.Tensor


@dataclass(frozen=True)
class GeneratorPass:
    """Fakes of a generator step: latents `[N, latent_dim]`, labels `[N]`, images `[N, H, W, C]` and logits `[N]`.

    `generate` maps latents and labels to images, as it made these.
    """

    generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    latents: tf.Tensor
    fake_labels: tf.Tensor
    fake_images: tf.Tensor
    fake_logits: tf.Tensor


@dataclass(frozen=True)
class Regulariser:
    """A term for the discriminator, one for the generator, or both; each returns `[N]`, None: there is no such term."""

    discriminator: Callable[[DiscriminatorPass, Draws], tf.Tensor] | None = None
    generator: Callable[[GeneratorPass, Draws], tf.Tensor] | None = None


REGULARISERS: dict[str, Regulariser] = {"none": Regulariser()}
