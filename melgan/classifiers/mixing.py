"""Images mixed in pairs; MIXINGS table.

Each function maps images `[B, H, W, C]`, the number of the partner of each `[B]` and a coefficient for each `[B]` in
[0, 1] to the mixed images and the fraction of each that is left of itself `[B]`; what is lost is of its partner. Losses
are mixed by these fractions, so that targets need not be.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import scipy.stats
import tensorflow as tf

from melgan.training.randomness import Draws

# (images [B, H, W, C], partners [B], coefficients [B], draws) -> (mixed images, fractions of themselves [B])
Mixing = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, Draws], tuple[tf.Tensor, tf.Tensor]]

_BLOCK = 8  # partners are of one block of a batch: they do not depend on how many replicas share it in blocks
_QUANTILES = 1025


class _Use(IntEnum):
    SHIFTS, COEFFICIENTS, ROWS, COLUMNS = range(4)


def mixup(images: tf.Tensor, partners: tf.Tensor, coefficients: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, tf.Tensor]:
    """Adds images, weighted. Zhang et al. 2018, "mixup: beyond empirical risk minimization", section 2."""
    del draws
    own = coefficients[:, None, None, None]
    return own * images + (1 - own) * tf.gather(images, partners), coefficients


def cutmix(
    images: tf.Tensor, partners: tf.Tensor, coefficients: tf.Tensor, draws: Draws
) -> tuple[tf.Tensor, tf.Tensor]:
    """Pastes a rectangle of the partner, of a random place and the shape of the image.

    Yun et al. 2019, "CutMix", eq. 1 and 2; a rectangle that reaches over the edge counts by what is left of it.
    """
    height, width = images.shape[1], images.shape[2]
    cut = tf.sqrt(1 - coefficients)
    rows = is_inside(height, draws.fold(_Use.ROWS).uniform(), cut)
    columns = is_inside(width, draws.fold(_Use.COLUMNS).uniform(), cut)
    pasted = rows[:, :, None] & columns[:, None, :]
    mixed = tf.where(pasted[..., None], tf.gather(images, partners), images)
    return mixed, 1 - tf.reduce_mean(tf.cast(pasted, images.dtype), axis=(1, 2))


MIXINGS: dict[str, Mixing] = {"mixup": mixup, "cutmix": cutmix}


@dataclass(frozen=True)
class Mixture:
    """Images `[B, H, W, C]` of a batch, and the parts by whose targets their losses count: (fractions `[B]`, batch)."""

    images: tf.Tensor
    parts: tuple[tuple[tf.Tensor | float, dict[str, tf.Tensor]], ...]

    @property
    def own(self) -> dict[str, tf.Tensor]:
        """The batch of which the images keep a part: what they are, but for what is mixed in."""
        return self.parts[0][1]

    def losses(self, losses_of: Callable[[dict[str, tf.Tensor]], tf.Tensor]) -> tf.Tensor:
        """Returns the losses `[B]` of the images, from what they are by the targets of a batch."""
        return sum(fractions * losses_of(batch) for fractions, batch in self.parts)

    def mean(self, name: str) -> tf.Tensor | None:
        """Returns values of the batches `[B, N]` mixed as the images are; None for what they do not have."""
        if name not in self.own:
            return None
        return sum(tf.reshape(fractions, [-1, 1]) * batch[name] for fractions, batch in self.parts)

    def split(self, count: int) -> list["Mixture"]:
        """Returns the images in parts of equal size, one after the other."""
        if count == 1:
            return [self]
        size = self.images.shape[0] // count
        return [self._slice(slice(start, start + size)) for start in range(0, count * size, size)]

    def _slice(self, rows: slice) -> "Mixture":
        def own(values: tf.Tensor | float) -> tf.Tensor | float:
            return values if isinstance(values, float) else values[rows]

        parts = [(own(each), {name: own(of) for name, of in batch.items()}) for each, batch in self.parts]
        return Mixture(self.images[rows], tuple(parts))


def unmixed(images: tf.Tensor, batch: dict[str, tf.Tensor]) -> Mixture:
    """Returns images as they are, with their own targets."""
    return Mixture(images, ((1.0, batch),))


def mix(images: tf.Tensor, batch: dict[str, tf.Tensor], mixing: Mixing, alpha: float, draws: Draws) -> Mixture:
    """Returns the images of a batch mixed in pairs.

    Arguments:
      images: float `[B, H, W, C]`.
      batch: their targets.
      mixing: of `MIXINGS`.
      alpha: see `draw_coefficients`.
      draws: of the step.
    """
    return mix_with(images, batch, mixing, draw_partners(draws), draw_coefficients(draws, alpha), draws)


def mix_with(
    images: tf.Tensor,
    batch: dict[str, tf.Tensor],
    mixing: Mixing,
    partners: tf.Tensor,
    coefficients: tf.Tensor,
    draws: Draws,
) -> Mixture:
    """Returns the images of a batch mixed with given partners `[B]`, by coefficients `[B]`; the rest as for `mix`."""
    mixed, fractions = mixing(images, partners, coefficients, draws)
    theirs = {name: tf.gather(values, partners) for name, values in batch.items() if name != "image"}
    return Mixture(mixed, ((fractions, batch), (1 - fractions, theirs)))


def draw_partners(draws: Draws) -> tf.Tensor:
    """Returns the number of the partner of each image in the batch of a replica, int32 `[B]`; never itself.

    It is the n-th next of its block, for an n that is drawn for each block.
    """
    size = block_size(draws.batch_size)
    places = tf.range(draws.batch_size)
    starts = places // size * size
    own = draws.fold(_Use.SHIFTS).uniform()
    shifts = 1 + tf.cast(tf.gather(own, starts) * (size - 1), tf.int32)
    return starts + (places - starts + shifts) % size


def block_size(batch_size: int) -> int:
    """Returns how many images of a replica's batch find their partners among each other; 1: there are no partners."""
    return math.gcd(batch_size, _BLOCK)


def draw_coefficients(draws: Draws, alpha: float) -> tf.Tensor:
    """Returns numbers `[B]` distributed as Beta(alpha, alpha); all 1 for alpha 0.

    They are interpolated between quantiles, because XLA has no gamma distribution.
    """
    if not alpha:
        return tf.ones([draws.batch_size])
    quantiles = scipy.stats.beta.ppf(np.linspace(0, 1, _QUANTILES), alpha, alpha).astype(np.float32)
    place = draws.fold(_Use.COEFFICIENTS).uniform() * (_QUANTILES - 1)
    below = tf.cast(place, tf.int32)
    low, high = tf.gather(quantiles, below), tf.gather(quantiles, below + 1)
    return low + (high - low) * (place - tf.cast(below, place.dtype))


def is_inside(side: int, middle: tf.Tensor, cut: tf.Tensor) -> tf.Tensor:
    """Returns which pixels of a side lie in a stretch, whose middle and length are fractions of it; bool `[B, S]`."""
    distances = tf.abs((tf.range(side, dtype=middle.dtype) + 0.5) / side - middle[:, None])
    return distances < cut[:, None] / 2
