"""The discriminator of a GAN as the backbone of a classifier: its trunk, which sees images and no labels.

Radford et al. 2016, section 5.1, with all features of the last map in place of pooled ones of every map.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan.gans.architectures import ARCHITECTURES, build_networks
from melgan.gans.config import GanConfig
from melgan.images import to_signed_float
from melgan.layers.dropout import Dropout
from melgan.layers.minibatch_stddev import MinibatchStddev
from tfrecords_tools.foundation.errors import ConfigError

DISCRIMINATOR_PREFIX = "discriminator:"


def require_takes_images_alone(config: GanConfig) -> None:
    """Raises ConfigError if the discriminator of a resolved config sees more than images."""
    if ARCHITECTURES[config.architecture].takes_boxes:
        raise ConfigError(
            f"the discriminator of {config.architecture} sees boxes beside images, which a classifier does not have; "
            "give a GAN of another method"
        )


def discriminator_features(config: GanConfig, weights: Sequence[np.ndarray] = ()) -> keras.Model:
    """Returns the trunk of a discriminator, fully grown, from images `[N, H, W, 3]` in [0, 255] to features `[N, F]`.

    Each image is seen alone, as in a batch of one. Nothing is dropped: a classifier has a dropout of its own.

    Arguments:
      config: resolved, of the GAN.
      weights: of the trunk of such a discriminator; random ones by default.

    Raises:
      ConfigError: if the discriminator sees more than images.
    """
    require_takes_images_alone(config)
    trunk = build_networks(config, num_classes=1).discriminator.trunk
    if weights:
        trunk.set_weights(weights)
    for layer in trunk.layers:
        if isinstance(layer, MinibatchStddev):
            layer.group_size = 1
    return _on_stored_images(trunk)


class _ToSigned(keras.layers.Layer):
    """Brings images to [-1, 1], in single precision whatever other layers compute in."""

    def __init__(self) -> None:
        super().__init__(name="to_signed", autocast=False)

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Returns images of the same shape."""
        return to_signed_float(images)


def _on_stored_images(trunk: keras.Model) -> keras.Model:
    """Returns a network of the layers of a trunk, which takes images in [0, 255] and no noise for dropout."""
    images, *noises = (keras.Input(each.shape[1:], name=each.name) for each in trunk.inputs)
    signed = _ToSigned()(images)

    def call(layer: keras.Layer, *inputs: Any, **others: Any) -> Any:
        if isinstance(layer, Dropout):
            return inputs[0]
        return layer(*keras.tree.map_structure(lambda each: signed if each is images else each, inputs), **others)

    same_layers = keras.models.clone_model(
        trunk,
        input_tensors=[images, *noises] if noises else images,
        clone_function=lambda layer: layer,
        call_function=call,
    )
    return keras.Model(images, same_layers.output, name="discriminator")
