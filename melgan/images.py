"""Images as tensors: the one place that converts between stored ones (uint8) and those inside GANs (float in [-1, 1]).

And changes of colour that augmentations have in common, in whatever range the images are.
"""

import keras
import tensorflow as tf


def to_signed_float(images: tf.Tensor) -> tf.Tensor:
    """Returns uint8 images `[N, H, W, C]` in [-1, 1], of the float type that Keras is set to."""
    return tf.cast(images, keras.config.floatx()) / 127.5 - 1.0


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Returns images `[N, H, W, C]` of any float type in [-1, 1] as uint8; values outside are clipped."""
    levels = tf.round((tf.cast(images, tf.float32) + 1.0) * 127.5)
    return tf.cast(tf.clip_by_value(levels, 0.0, 255.0), tf.uint8)


def scale_saturation(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Returns images `[N, H, W, C]`, the distance of each pixel's channels from their mean scaled by `[N, 1, 1, 1]`."""
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    return grey + (images - grey) * factors


def scale_contrast(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Returns images `[N, H, W, C]`, the distance of each image's values from their mean scaled by `[N, 1, 1, 1]`."""
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return mean + (images - mean) * factors
