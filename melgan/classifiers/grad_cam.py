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

_LEAST_SIDE = 7


def class_activation_maps(model: keras.Model, inputs: Any, class_numbers: np.ndarray) -> np.ndarray:
    """Returns maps float32 `[N, S, S]` in [0, 1], by the features `[N, h, w, K]` of `explaining_map`.

    A map is resized bilinearly to the image and divided by its maximum; it is 0 everywhere if nothing speaks for the
    class.

    Arguments:
      model: of `build_classifier`.
      inputs: images float `[N, S, S, 3]` in [0, 255], or the list of all inputs of a model that has several, images
        first.
      class_numbers: of the class of each image `[N]`.

    Raises:
      ConfigError: if the network has no map of features.
    """
    network = keras.Model(model.inputs, [explaining_map(model), Outputs(*model.outputs).predicted])
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


def explaining_map(model: keras.Model) -> keras.KerasTensor:
    """Returns the map of features `[N, h, w, K]` by which a network is explained.

    It is the last that has as many places as the last one of networks for 224 px, 7 a side, because the last of small
    images tells no more than a half of them from the other; or simply the last where none has.

    Raises:
      ConfigError: if the network has no map of features.
    """
    images = {id(each) for each in model.inputs}
    outputs = [layer.output for layer in model.layers if isinstance(layer.output, keras.KerasTensor)]  # by their depth
    maps = [each for each in outputs if len(each.shape) == 4 and id(each) not in images]
    if not maps:
        raise ConfigError(f"{model.name} has no map of features, and so no class activation map")
    fine = [each for each in maps if min(each.shape[1:3]) >= _LEAST_SIDE]
    return (fine or maps)[-1]
