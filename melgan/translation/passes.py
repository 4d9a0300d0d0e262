"""The images that one direction of a translator makes in a step, each once, and only if a term asks for it."""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import tensorflow as tf

from melgan.gans.objectives import Objective
from melgan.training.randomness import Draws
from melgan.translation.networks import Direction, Made, in_single
from melgan.translation.patch_nce import patches


class Use(IntEnum):
    """Uses of random numbers in a direction."""

    MIRRORING = 0
    TRANSLATING = 1
    COMING_BACK = 2
    KEEPING = 3
    POSITIONS = 4


@dataclass(frozen=True, kw_only=True)
class Passes:
    """One direction in a step. What it makes is made within the tape that first asks for it.

    Attributes:
      direction: its networks.
      opposite: the networks that lead back, if there are any.
      objective: the adversarial losses.
      inputs: what is translated `[B, H, W, C]` in [-1, 1]: images, or maps of conditions.
      real_images: `[B, H, W, 3]` in [-1, 1], of the class that is translated to; beside conditions, those that the
        conditions were made of.
      masks: `[B, H, W, 1]`, 1 where the lesion of the inputs is and 0 elsewhere; None where no term takes them.
      shows_inputs: whether the discriminator sees the inputs beside an image.
      mirrors: whether half of the inputs are mirrored before they are translated.
      contrasts_kept: whether the term `nce` also looks at images that are of the right class already.
      temperature: of the term `nce`.
      draws: random numbers of this direction.
    """

    direction: Direction
    opposite: Direction | None = None
    objective: Objective
    inputs: tf.Tensor
    real_images: tf.Tensor
    masks: tf.Tensor | None = None
    shows_inputs: bool = False
    mirrors: bool = False
    contrasts_kept: bool = False
    temperature: float = 1.0
    draws: Draws

    @cached_property
    def shown(self) -> tf.Tensor:
        """The inputs as the generator is shown them `[B, H, W, C]`."""
        return self._mirrored(self.inputs)

    @cached_property
    def shown_masks(self) -> tf.Tensor:
        """The masks of these `[B, H, W, 1]`."""
        return self._mirrored(self.masks)

    @cached_property
    def translated(self) -> Made:
        """What the generator makes of its inputs."""
        return self.direction.generator.make(self.shown, self.draws.fold(Use.TRANSLATING))

    @cached_property
    def returned(self) -> tf.Tensor:
        """The translated images on their way back `[B, H, W, 3]`."""
        return self.opposite.generator.make(self.translated.images, self.draws.fold(Use.COMING_BACK)).images

    @cached_property
    def kept(self) -> Made:
        """What the generator makes of images that are of the right class already."""
        return self.direction.generator.make(self.real_images, self.draws.fold(Use.KEEPING))

    @cached_property
    def contrasts(self) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Pairs of queries and keys `[B, S, C]`, one a tap, of the translated images and, if wanted, of the kept."""
        tapped = self.direction.generator.tapped
        keys = tapped(self.inputs, training=True) if self.mirrors else self.translated.taps
        queries = [self._mirrored(tap) for tap in tapped(self.translated.images, training=True)]
        pairs = self._projected(queries, keys)
        if self.contrasts_kept:
            pairs += self._projected(tapped(self.kept.images, training=True), self.kept.taps)
        return pairs

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the logits `[B, h, w, 1]` of the discriminator for images `[B, H, W, 3]`, never in half precision."""
        seen = tf.concat([self.shown, images], axis=-1) if self.shows_inputs else images
        return in_single(self.direction.discriminator(seen, training=True))

    def _projected(self, queries: list[tf.Tensor], keys: list[tf.Tensor]) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Returns the points of some patches of taps; keys have no gradient, as in the authors' code."""
        draws, project = self.draws.fold(Use.POSITIONS), self.direction.projector
        points = project(patches(queries, draws)), project(patches(keys, draws))
        return [(query, tf.stop_gradient(key)) for query, key in zip(*points, strict=True)]

    def _mirrored(self, values: tf.Tensor) -> tf.Tensor:
        """Returns values `[B, h, w, C]`, those of some examples mirrored, and so back if they were."""
        if not self.mirrors:
            return values
        mirrored = self.draws.fold(Use.MIRRORING).uniform(1, 1, 1) < 0.5
        return tf.where(mirrored, tf.reverse(values, axis=[2]), values)
