"""What an image is drawn from: the mask of its lesion, the colour of the skin, and its class, as channels of a map.

The mask is that of Shin et al. 2018 (arXiv 1807.10225), skin colour and class beside it are those of Ghorbani et al.
2019, "DermGAN" (arXiv 1911.08716). Static shapes and no host operations, so XLA can compile it.
"""

import keras
import tensorflow as tf

# The weight of lesion among skin: without skin it is what is left of the picture.
_LEAST_WEIGHT = 1e-6


def condition_channels(num_classes: int) -> int:
    """Returns the channels of `condition_map`: the mask, three of a colour, and the classes."""
    return 1 + 3 + num_classes


def condition_map(masks: tf.Tensor, skin_colours: tf.Tensor, labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Returns conditions `[N, H, W, 1 + 3 + num_classes]` in [-1, 1], of the float type that Keras is set to.

    Arguments:
      masks: `[N, H, W, 1]`, uint8 from 0 to 255 or floats in [0, 1], the greatest where the lesion is.
      skin_colours: `[N, 3]` in [-1, 1].
      labels: `[N]`; the channel of the own class is 1, those of the others are -1.
      num_classes: how many classes there are.
    """
    lesion = _as_fractions(masks)
    everywhere = tf.ones_like(lesion)
    colours = tf.cast(skin_colours, lesion.dtype)[:, None, None] * everywhere
    classes = tf.one_hot(labels, num_classes, 1.0, -1.0, dtype=lesion.dtype)[:, None, None] * everywhere
    return tf.concat([2.0 * lesion - 1.0, colours, classes], axis=-1)


def skin_colours(images: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
    """Returns the mean colour `[N, 3]` of what lies outside the masks; of all where a mask leaves nothing.

    Arguments:
      images: `[N, H, W, 3]` in [-1, 1].
      masks: `[N, H, W, 1]`, see `condition_map`.
    """
    weights = 1.0 - _as_fractions(masks) + _LEAST_WEIGHT
    colours = tf.reduce_sum(tf.cast(images, weights.dtype) * weights, axis=[1, 2])
    return colours / tf.reduce_sum(weights, axis=[1, 2])


def _as_fractions(masks: tf.Tensor) -> tf.Tensor:
    """Returns masks in [0, 1]."""
    masks = tf.convert_to_tensor(masks)
    levels = 255.0 if masks.dtype == tf.uint8 else 1.0
    return tf.cast(masks, keras.config.floatx()) / levels
