"""Augmentation of training images inside tf.data, and the views averaged in prediction; AUGMENTATIONS table.

Every function maps (image uint8 `[H, W, 3]`, seed int64 `[2]`) to an image of the same shape; H equals W.
"""

from collections.abc import Callable

import tensorflow as tf

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

NUM_VIEWS = 8


def no_augmentation(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image as it is."""
    del seed
    return image


def dihedral(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One of the eight flips and quarter turns: neither a lesion nor a cell has an up or a left."""
    number = tf.random.stateless_uniform([], seed, maxval=NUM_VIEWS, dtype=tf.int32)
    return tf.switch_case(number, [lambda view=view: dihedral_view(image[None], view)[0] for view in range(NUM_VIEWS)])


def dihedral_colour(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """`dihedral`, with mild changes of brightness, contrast and saturation (8 % each) and hue (0.01 turns)."""
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 5))
    image = tf.cast(dihedral(image, seeds[0]), tf.float32) / 255.0
    image = tf.image.stateless_random_saturation(image, 0.92, 1.08, seeds[1])
    image = tf.image.stateless_random_hue(image, 0.01, seeds[2])
    image = tf.image.stateless_random_contrast(image, 0.92, 1.08, seeds[3])
    image = image * tf.random.stateless_uniform([], seeds[4], 0.92, 1.08)
    return tf.cast(tf.clip_by_value(tf.round(image * 255.0), 0.0, 255.0), tf.uint8)


AUGMENTATIONS: dict[str, Augment] = {
    "none": no_augmentation,
    "dihedral": dihedral,
    "dihedral_colour": dihedral_colour,
}


def dihedral_view(images: tf.Tensor, view: int) -> tf.Tensor:
    """Returns images `[N, S, S, C]` flipped along x, y and the diagonal by the three bits of `view`, 0 to 7."""
    if view & 1:
        images = tf.reverse(images, [2])
    if view & 2:
        images = tf.reverse(images, [1])
    return tf.transpose(images, [0, 2, 1, 3]) if view & 4 else images
