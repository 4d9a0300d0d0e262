"""Progressive growing: how new layers fade into networks that double their resolution on the way.

Karras et al. 2018, "Progressive growing of GANs for improved quality, stability, and variation", section 2 and figure
2, and the authors' code (github.com/tkarras/progressive_growing_of_gans). https://arxiv.org/abs/1710.10196

A level is a resolution: level 0 has 4 px, level k has 4 * 2^k. Networks always take and give images of the whole size,
as in that code: at a lower level they average them down, and enlarge them by repeating pixels. So augmentation, penalty
and sampling need not know of levels, and a distance between images means the same at all of them.
"""

import keras
import tensorflow as tf

from melgan.layers.fade_in import FadeIn

INNERMOST = 4  # px, of level 0


def grow(degree: tf.Tensor, *networks: keras.Model) -> None:
    """Sets alpha of every level in networks, from `Growth.degree`."""
    for network in networks:
        for layer in network.layers:
            if isinstance(layer, FadeIn):
                layer.share.assign(tf.clip_by_value(degree - (layer.level - 1), 0.0, 1.0))


def at_level(images: tf.Tensor, level: int, degree: tf.Tensor) -> tf.Tensor:
    """Returns real images `[N, H, W, C]` with no more detail than networks of a level have, in their own size.

    They are averaged down to the resolution of the level and, while it fades in, mixed with images of half of it.

    Arguments:
      images: of any size of which the resolution is a divisor.
      level: that the networks train, or fade in.
      degree: `[]`, from `Growth.degree`.
    """
    resolution = INNERMOST * 2**level
    new = _averaged(images, images.shape[1] // resolution)
    if level == 0:
        return new
    alpha = degree - (level - 1)
    return (1.0 - alpha) * _averaged(images, 2 * images.shape[1] // resolution) + alpha * new


def _averaged(images: tf.Tensor, side: int) -> tf.Tensor:
    """Returns images `[N, H, W, C]` with every square of `side` x `side` px in its mean colour."""
    if side == 1:
        return images
    means = tf.nn.avg_pool2d(images, side, side, "VALID")
    return tf.repeat(tf.repeat(means, side, axis=1), side, axis=2)
