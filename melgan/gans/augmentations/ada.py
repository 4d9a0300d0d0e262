"""Adaptive augmentation: how strongly the discriminator's images are changed follows how well it knows the real ones.

Karras et al. 2020, "Training generative adversarial networks with limited data", section 3 and appendix B: flips,
quarter turns, shifts, scalings, rotations and colour, each with a probability that is the strength. What differs: the
geometry is sampled bilinearly instead of between wavelet filters, and the strength follows every step instead of every
fourth.
"""

import math
from collections.abc import Sequence
from enum import IntEnum

import keras
import tensorflow as tf

from melgan.training.randomness import Draws

# Flips, quarter turns and shifts by whole pixels; scalings, turns, stretchings and other shifts; colours.
PARTS_OF_ADA = ("blitting", "geometry", "colour")

TARGET = 0.6
# From nothing to full strength it takes so many real images, if the discriminator knows them all the while.
IMAGES_TO_FULL_STRENGTH = 500_000

_SHIFT = 0.125
_SCALE = 0.2 * math.log(2)
_BRIGHTNESS = 0.2
_CONTRAST = 0.5 * math.log(2)
_SATURATION = math.log(2)


class Use(IntEnum):
    """Uses of random numbers."""

    GEOMETRY = 0
    COLOURS = 1


class Geometry(IntEnum):
    """Uses of random numbers in `random_geometry`."""

    FLIP = 0
    QUARTER_TURN = 1
    WHOLE_SHIFT = 2
    SCALING = 3
    FIRST_TURN = 4
    STRETCHING = 5
    SECOND_TURN = 6
    PART_SHIFT = 7
    CHOICE = 8


class Colour(IntEnum):
    """Uses of random numbers in `random_colours`."""

    BRIGHTNESS = 0
    CONTRAST = 1
    FLIP = 2
    HUE = 3
    SATURATION = 4
    CHOICE = 5


def adapted(strength: tf.Tensor, real_sign: tf.Tensor, images: int) -> tf.Tensor:
    """Returns the strength after a step: more if the discriminator is too sure of real images, less if not.

    Karras et al. 2020, section 3.1, with the heuristic r_t of eq. 1.

    Arguments:
      strength: `[]` in [0, 1].
      real_sign: mean sign of the logits of real images `[]`, in [-1, 1]; above 0.6 it is too sure.
      images: real images that the discriminator saw in the step.
    """
    moved = strength + tf.sign(real_sign - TARGET) * images / IMAGES_TO_FULL_STRENGTH
    return tf.clip_by_value(moved, 0.0, 1.0)


def ada(images: tf.Tensor, draws: Draws, strength: tf.Tensor, parts: Sequence[str] = PARTS_OF_ADA) -> tf.Tensor:
    """Changes the place and the colours of each image `[N, H, H, C]`, every change with a probability of `strength`."""
    if "blitting" in parts or "geometry" in parts:
        geometry = random_geometry(draws.fold(Use.GEOMETRY), strength, images.shape[1], parts=parts)
        images = warped(images, geometry)
    return recoloured(images, random_colours(draws.fold(Use.COLOURS), strength)) if "colour" in parts else images


def random_geometry(draws: Draws, strength: tf.Tensor, side: int, *, parts: Sequence[str] = PARTS_OF_ADA) -> tf.Tensor:
    """Returns where each pixel comes from: matrices `[N, 3, 3]` from places (x, y, 1) after to places before.

    Places are in pixels from the middle of the image. Karras et al. 2020, appendix B, figure 9.

    Arguments:
      draws: random numbers.
      strength: probability of each change `[]`.
      side: of images, in pixels.
      parts: whose changes take place; the random numbers of each do not depend on the others.
    """
    blitting, moving = (strength if part in parts else 0.0 * strength for part in ("blitting", "geometry"))
    # For two turns around the scaling, so that one of them or both take place as often as any other change.
    turning = 1.0 - tf.sqrt(1.0 - moving)
    whole = tf.round(_SHIFT * side * (2.0 * draws.fold(Geometry.WHOLE_SHIFT).uniform(2) - 1.0))
    part = _SHIFT * side * draws.fold(Geometry.PART_SHIFT).normal(2)
    evenly, along = (tf.exp(_SCALE * draws.fold(use).normal()) for use in (Geometry.SCALING, Geometry.STRETCHING))
    flipped = 1.0 - 2.0 * tf.floor(2.0 * draws.fold(Geometry.FLIP).uniform())
    changes = [
        (scaling(flipped, tf.ones_like(flipped)), blitting),
        (turn(0.5 * math.pi * tf.floor(4.0 * draws.fold(Geometry.QUARTER_TURN).uniform())), blitting),
        (shift(whole), blitting),
        (scaling(evenly, evenly), moving),
        (turn(math.pi * (2.0 * draws.fold(Geometry.FIRST_TURN).uniform() - 1.0)), turning),
        (scaling(along, 1.0 / along), moving),
        (turn(math.pi * (2.0 * draws.fold(Geometry.SECOND_TURN).uniform() - 1.0)), turning),
        (shift(part), moving),
    ]
    return _product(changes, draws.fold(Geometry.CHOICE))


def random_colours(draws: Draws, strength: tf.Tensor) -> tf.Tensor:
    """Returns matrices `[N, 4, 4]` that map (red, green, blue, 1) in [-1, 1] to new colours. Appendix B, figure 9."""
    white = tf.constant([1.0, 1.0, 1.0, 0.0], keras.config.floatx()) / math.sqrt(3.0)
    along_white = white[:, None] * white[None, :]
    unit = tf.eye(4, dtype=white.dtype)
    brightness = _BRIGHTNESS * draws.fold(Colour.BRIGHTNESS).normal(1)
    contrast = tf.exp(_CONTRAST * draws.fold(Colour.CONTRAST).normal(1, 1))
    flipped = tf.floor(2.0 * draws.fold(Colour.FLIP).uniform(1, 1))
    hue = math.pi * (2.0 * draws.fold(Colour.HUE).uniform(1, 1) - 1.0)
    saturation = tf.exp(_SATURATION * draws.fold(Colour.SATURATION).normal(1, 1))
    opaque = tf.constant([0.0, 0.0, 0.0, 1.0], white.dtype)
    rows = tf.concat([tf.repeat(brightness, 3, axis=1), tf.zeros_like(brightness)], axis=1)
    changes = [
        (unit + rows[:, :, None] * opaque, strength),
        (unit * contrast + (1.0 - contrast) * tf.linalg.diag(opaque), strength),
        (unit - 2.0 * flipped * along_white, strength),
        (turned_around(white, along_white, hue), strength),
        (along_white + tf.linalg.diag(opaque) + saturation * (unit - tf.linalg.diag(opaque) - along_white), strength),
    ]
    return _product(changes[::-1], draws.fold(Colour.CHOICE))


def warped(images: tf.Tensor, geometry: tf.Tensor) -> tf.Tensor:
    """Returns images `[N, H, H, C]` moved by matrices `[N, 3, 3]`, bilinear; outside, the image is mirrored.

    The mirror stands at the middle of the outermost pixels.
    """
    side, channels = images.shape[1], images.shape[3]
    middle = (side - 1) / 2
    places = tf.range(side, dtype=images.dtype) - middle
    x, y = tf.meshgrid(places, places)
    grid = tf.reshape(tf.stack([x, y, tf.ones_like(x)]), [3, side * side])
    source = tf.einsum("nij,jp->nip", geometry[:, :2], grid) + middle
    source = _mirrored(source, side)
    first = tf.clip_by_value(tf.floor(source), 0.0, side - 2.0)
    offset = source - first
    column, row = tf.unstack(tf.cast(first, tf.int32), axis=1)
    right, down = tf.unstack(offset[..., None], axis=1)
    pixels = tf.reshape(images, [-1, side * side, channels])

    def at(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.gather(pixels, row * side + column, batch_dims=1)

    upper = at(row, column) * (1.0 - right) + at(row, column + 1) * right
    lower = at(row + 1, column) * (1.0 - right) + at(row + 1, column + 1) * right
    return tf.reshape(upper * (1.0 - down) + lower * down, [-1, side, side, channels])


def recoloured(images: tf.Tensor, colours: tf.Tensor) -> tf.Tensor:
    """Returns images `[N, H, W, 3]` with colours mapped by matrices `[N, 4, 4]`."""
    return tf.einsum("nij,nhwj->nhwi", colours[:, :3, :3], images) + colours[:, None, None, :3, 3]


def _product(changes: list[tuple[tf.Tensor, tf.Tensor]], draws: Draws) -> tf.Tensor:
    """Returns the product of matrices `[N, D, D]`, each of which counts with its probability, else the identity."""
    product = None
    for number, (matrix, probability) in enumerate(changes):
        unit = tf.eye(matrix.shape[-1], dtype=matrix.dtype)
        chosen = tf.where(draws.fold(number).uniform(1, 1) < probability, matrix, unit)
        product = chosen if product is None else product @ chosen
    return product


def _mirrored(places: tf.Tensor, side: int) -> tf.Tensor:
    """Returns places in pixels, wherever they are, as places in [0, side - 1]."""
    last = side - 1.0
    return last - tf.abs(tf.math.floormod(places, 2.0 * last) - last)


def scaling(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns matrices `[N, 3, 3]` of images that are larger by factors `[N]`."""
    return tf.linalg.diag(tf.stack([1.0 / x, 1.0 / y, tf.ones_like(x)], axis=1))


def turn(angle: tf.Tensor) -> tf.Tensor:
    """Returns matrices `[N, 3, 3]` that turn by angles `[N]`."""
    zero, one = tf.zeros_like(angle), tf.ones_like(angle)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    rows = [[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]]
    return tf.stack([tf.stack(row, axis=1) for row in rows], axis=1)


def shift(by: tf.Tensor) -> tf.Tensor:
    """Returns matrices `[N, 3, 3]` of images shifted by (x, y) `[N, 2]` pixels."""
    places = tf.concat([-by, tf.zeros_like(by[:, :1])], axis=1)
    return tf.eye(3, dtype=by.dtype) + places[:, :, None] * tf.constant([0.0, 0.0, 1.0], by.dtype)


def turned_around(axis: tf.Tensor, along_axis: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Returns matrices `[N, 4, 4]` that turn colours around an axis `[4]` by angles `[N, 1, 1]`: Rodrigues' formula."""
    x, y, z, _ = tf.unstack(axis)
    zero = tf.zeros_like(x)
    cross = tf.stack([[zero, -z, y, zero], [z, zero, -x, zero], [-y, x, zero, zero], [zero] * 4])
    unit = tf.linalg.diag(tf.constant([1.0, 1.0, 1.0, 0.0], axis.dtype))
    opaque = tf.linalg.diag(tf.constant([0.0, 0.0, 0.0, 1.0], axis.dtype))
    return opaque + along_axis + tf.cos(angle) * (unit - along_axis) + tf.sin(angle) * cross
