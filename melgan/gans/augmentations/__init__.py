"""Augmentations of real and fake images before the discriminator; AUGMENTATIONS table."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from melgan.gans.augmentations.ada import ada
from melgan.gans.augmentations.diffaugment import diffaugment
from melgan.training.randomness import Draws


@dataclass(frozen=True)
class Augmentation:
    """A differentiable change of images.

    `augment` takes (images `[N, H, W, C]` in [-1, 1], draws, strength `[]` in [0, 1]) and returns as many images of the
    same shape; values may leave the range. Gradients flow through to the images. `adaptive`: the strength, which is 0
    at first, follows how sure the discriminator is of real images (`ada.adapted`).
    """

    augment: Callable[[tf.Tensor, Draws, tf.Tensor], tf.Tensor]
    adaptive: bool = False


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(lambda images, draws, strength: images),
    "diffaugment": Augmentation(lambda images, draws, strength: diffaugment(images, draws)),
    "ada": Augmentation(ada, adaptive=True),
}
