"""Augmentations of real and fake images before the discriminator; AUGMENTATIONS table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import tensorflow as tf

from melgan.gans.augmentations.ada import PARTS_OF_ADA, ada
from melgan.gans.augmentations.diffaugment import PARTS_OF_DIFFAUGMENT, diffaugment
from melgan.training.randomness import Draws


@dataclass(frozen=True)
class Augmentation:
    """A differentiable change of images.

    `change` takes (images `[N, H, W, C]` in [-1, 1], draws, strength `[]` in [0, 1], parts) and returns as many images
    of the same shape; values may leave the range. Gradients flow through to the images. `parts` are those of which it
    consists. `adaptive`: the strength, which is 0 at first, follows how sure the discriminator is of real images
    (`ada.adapted`).
    """

    change: Callable[[tf.Tensor, Draws, tf.Tensor, Sequence[str]], tf.Tensor]
    parts: tuple[str, ...] = ()
    adaptive: bool = False

    def augment(self, images: tf.Tensor, draws: Draws, strength: tf.Tensor) -> tf.Tensor:
        """Returns the images changed by all parts."""
        return self.change(images, draws, strength, self.parts)

    def of_parts(self, policy: Sequence[str]) -> "Augmentation":
        """Returns the augmentation of some parts alone, with the random numbers that they have among all; none: all."""
        return replace(self, parts=tuple(policy)) if policy else self


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(lambda images, draws, strength, parts: images),
    "diffaugment": Augmentation(
        lambda images, draws, strength, parts: diffaugment(images, draws, parts), PARTS_OF_DIFFAUGMENT
    ),
    "ada": Augmentation(ada, PARTS_OF_ADA, adaptive=True),
}
