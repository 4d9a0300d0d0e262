"""Gradient-weighted class activation maps: where in an image a classifier finds what speaks for a class.

Grad-CAM of Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based localization".
For a network that ends in a global average pooling and one dense layer it is CAM of Zhou et al. 2016 up to a factor.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan.classifiers.network import Outputs
from tfrecords_tools.foundation.errors import ConfigError


def class_activation_maps(model: keras.Model, inputs: Any, class_numbers: np.ndarray) -> np.ndarray:
    """Returns maps float32 `[N, S, S]` in [0, 1], by the last map of features `[N, h, w, K]` that the network has.

    That is the one before the pooling; of small_cnn, which pools three scales, the coarsest. A map is resized
    bilinearly to the image and divided by its maximum; it is 0 everywhere if nothing speaks for the class.

    Arguments:
      model: of `build_classifier`.
      inputs: images float `[N, S, S, 3]` in [0, 255], or the list of all inputs of a model that has several, images
        first.
      class_numbers: of the class of each image `[N]`.

    Raises:
      ConfigError: if the network has no map of features.
    """
    network = keras.Model(model.inputs, [_last_map(model), Outputs(*model.outputs).predicted])
    tensors = [tf.convert_to_tensor(each) for each in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
    with tf.GradientTape() as tape:
        tape.watch([each for each in tensors if each.dtype.is_floating])  # layers that are frozen are not watched
        features, logits = network(tensors if len(tensors) > 1 else tensors[0], training=False)
        scores = tf.gather(logits, tf.cast(class_numbers, tf.int32), batch_dims=1)
    gradients = tf.cast(tape.gradient(scores, features), tf.float32)
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)  # equation 1
    maps = tf.nn.relu(tf.reduce_sum(weights * tf.cast(features, tf.float32), axis=-1, keepdims=True))  # equation 2
    maps = tf.image.resize(maps, tensors[0].shape[1:3])[..., 0]
    return tf.math.divide_no_nan(maps, tf.reduce_max(maps, axis=(1, 2), keepdims=True)).numpy()


def _last_map(model: keras.Model) -> keras.KerasTensor:
    """Returns the output `[N, h, w, K]` of the last layer that has such a one; layers are in order of their depth."""
    images = {id(each) for each in model.inputs}
    for layer in reversed(model.layers):
        if (
            isinstance(layer.output, keras.KerasTensor)
            and len(layer.output.shape) == 4
            and id(layer.output) not in images
        ):
            return layer.output
    raise ConfigError(f"{model.name} has no map of features, and so no class activation map")
