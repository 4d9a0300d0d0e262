"""The one place that converts between stored images (uint8) and those inside GANs (float in [-1, 1])."""

import keras
import tensorflow as tf


def to_signed_float(images: tf.Tensor) -> tf.Tensor:
    """Returns uint8 images `[N, H, W, C]` in [-1, 1], of the float type that Keras is set to."""
    return tf.cast(images, keras.config.floatx()) / 127.5 - 1.0


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Returns images `[N, H, W, C]` of any float type in [-1, 1] as uint8; values outside are clipped."""
    levels = tf.round((tf.cast(images, tf.float32) + 1.0) * 127.5)
    return tf.cast(tf.clip_by_value(levels, 0.0, 255.0), tf.uint8)
