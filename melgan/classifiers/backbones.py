"""Feature networks by name; BACKBONES table. Each maps images `[N, H, W, 3]` in [0, 255] to features `[N, F]`."""

from collections.abc import Callable
from functools import partial

import keras
import tensorflow as tf
from keras import layers

from melgan.classifiers.efficientnet import efficientnet
from melgan.pretrained.efficientnet_lite import LITE0, LITE1, LITE2, efficientnet_lite
from tfrecords_tools.foundation.errors import ConfigError

# Keras ships a momentum of 0.99, with which moving statistics lag hundreds of steps behind the weights.
_MOMENTUM = 0.9

_ADD, _LAST_NORMALIZATION = "_add", "_project_bn"


def small_cnn(image_size: int, weights: str) -> keras.Model:
    """A residual network of 0.9 million weights for first runs on a CPU; features of three scales are pooled.

    Raises:
      ConfigError: if pretrained weights are asked for; there are none.
    """
    if weights == "imagenet":
        raise ConfigError("weights is 'imagenet', but there are none for small_cnn; use none or the path of a file")
    images = keras.Input((image_size, image_size, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(images)
    x = layers.ReLU()(_convolution(x, 24, 5, strides=2))
    x = layers.MaxPooling2D(2)(x)
    scales = []
    for filters in (48, 96, 160):
        x = layers.ReLU()(_convolution(x, filters, 3, strides=2))
        inner = layers.ReLU()(_convolution(x, filters, 3))
        inner = _convolution(inner, filters, 3, name=f"block{filters}{_LAST_NORMALIZATION}")
        x = layers.ReLU()(layers.Add(name=f"block{filters}{_ADD}")([x, inner]))
        scales.append(layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, layers.Concatenate()(scales), name="small_cnn")


def _convolution(
    x: keras.KerasTensor, filters: int, kernel_size: int, strides: int = 1, name: str | None = None
) -> keras.KerasTensor:
    convolution = layers.Conv2D(
        filters, kernel_size, strides, padding="same", use_bias=False, kernel_initializer="he_normal"
    )
    return layers.BatchNormalization(name=name)(convolution(x))


# (image_size, weights) -> feature network
BACKBONES: dict[str, Callable[[int, str], keras.Model]] = {
    "small_cnn": small_cnn,
    "efficientnet_lite0": partial(efficientnet_lite, LITE0),
    "efficientnet_lite1": partial(efficientnet_lite, LITE1),
    "efficientnet_lite2": partial(efficientnet_lite, LITE2),
    "efficientnet_b0": partial(efficientnet, keras.applications.EfficientNetB0),
    "efficientnet_b1": partial(efficientnet, keras.applications.EfficientNetB1),
    "efficientnet_b2": partial(efficientnet, keras.applications.EfficientNetB2),
    "efficientnet_b3": partial(efficientnet, keras.applications.EfficientNetB3),
    "efficientnet_b4": partial(efficientnet, keras.applications.EfficientNetB4),
    "efficientnet_b5": partial(efficientnet, keras.applications.EfficientNetB5),
    "efficientnet_b6": partial(efficientnet, keras.applications.EfficientNetB6),
    "efficientnet_b7": partial(efficientnet, keras.applications.EfficientNetB7),
    "efficientnet_v2_b0": partial(efficientnet, keras.applications.EfficientNetV2B0),
    "efficientnet_v2_b1": partial(efficientnet, keras.applications.EfficientNetV2B1),
    "efficientnet_v2_b2": partial(efficientnet, keras.applications.EfficientNetV2B2),
    "efficientnet_v2_b3": partial(efficientnet, keras.applications.EfficientNetV2B3),
    "efficientnet_v2_s": partial(efficientnet, keras.applications.EfficientNetV2S),
    "efficientnet_v2_m": partial(efficientnet, keras.applications.EfficientNetV2M),
    "efficientnet_v2_l": partial(efficientnet, keras.applications.EfficientNetV2L),
}


def begin_as_identity(network: keras.Model) -> None:
    """Lets every residual block add nothing at first: the last normalisation of each has a scale of 0.

    He et al. 2019, "Bag of tricks", section 3.1, zero gamma. A block `x` ends in the layers `x_project_bn` and `x_add`;
    in EfficientNet-Lite, the former is `x.bn2`.
    """
    names = {layer.name for layer in network.layers}
    for block in [name.removesuffix(_ADD) for name in names if name.endswith(_ADD)]:
        (last,) = {f"{block}{ending}" for ending in (_LAST_NORMALIZATION, ".bn2")} & names
        gamma = network.get_layer(last).gamma
        gamma.assign(tf.zeros_like(gamma))


def prepare_normalization(network: keras.Model) -> None:
    """Makes every batch normalisation follow short trainings, and agree between replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = _MOMENTUM
            layer.synchronized = replicas > 1
