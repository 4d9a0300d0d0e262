"""The interface of every regulariser: what it is shown, what it adds to the losses, and what it remembers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import keras
import tensorflow as tf

from melgan.gans.penalties import Discriminate, RealAndFake
from melgan.training.randomness import Draws

# What a step found, by name, as sums over the examples of this replica.
Sums = dict[str, tf.Tensor]


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

    `generate` maps latents and labels to images, as it made these. `real_images` `[N, H, W, C]` with `real_labels`
    `[N]` are beside them, as they are shown, but for augmentation, which the fakes have not been through either.
    """

    generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    latents: tf.Tensor
    fake_labels: tf.Tensor
    fake_images: tf.Tensor
    fake_logits: tf.Tensor
    real_images: tf.Tensor
    real_labels: tf.Tensor


class Term(NamedTuple):
    """A term of a loss for every example `[N]`, and what its regulariser is to learn from the step."""

    values: tf.Tensor
    found: Sums = {}  # noqa: RUF012 - never changed


@dataclass(frozen=True)
class Regulariser:
    """A term for the discriminator, one for the generator, or both; None: there is no such term.

    `memory` are variables, equal on all replicas, that terms may depend on. `learn` changes them in replica context,
    from what a term found in a step, once the gradients of that step are there; it is called after every step of a
    network for which there is a term. Checkpoints hold them.
    """

    discriminator: Callable[[DiscriminatorPass, Draws], Term] | None = None
    generator: Callable[[GeneratorPass, Draws], Term] | None = None
    memory: Sequence[keras.Variable] = ()
    learn: Callable[[Sums], None] = lambda found: None


@dataclass(frozen=True)
class Subject:
    """What is regularised: a generator, the whole one where it grows, and the training images of each class `[K]`."""

    generator: keras.Model
    class_counts: Sequence[int]

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_counts)
