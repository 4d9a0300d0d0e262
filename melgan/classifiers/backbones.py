"""Feature networks by name; BACKBONES table. Each maps images `[N, H, W, 3]` in [0, 255] to features `[N, F]`."""

from collections.abc import Callable
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfrecords_tools.foundation.errors import ConfigError

# Keras ships a momentum of 0.99, with which moving statistics lag hundreds of steps behind the weights.
_MOMENTUM = 0.9

_ADD, _LAST_NORMALIZATION = "_add", "_project_bn"

# Of images in [0, 1].
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_IMAGENET_VARIANCE = np.array([0.229, 0.224, 0.225], np.float32) ** 2


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


def efficientnet(application: Callable[..., keras.Model], image_size: int, weights: str) -> keras.Model:
    """EfficientNet of keras.applications (Tan and Le 2019, 2021), which normalises its input itself.

    It has the same layers wherever its weights come from. Keras inserts one more for its ImageNet weights, so that
    weights which were saved with it would be loaded without it, and mean something else.

    Raises:
      ConfigError: if ImageNet weights are asked for and cannot be downloaded.
    """
    build = partial(application, include_top=False, input_shape=(image_size, image_size, 3), pooling="avg")
    pretrained = _pretrained(build) if weights == "imagenet" else None
    network = build(weights=None)
    if pretrained is not None:
        _copy_weights(pretrained, network)
    elif (normalization := _input_normalization(network)) is not None:
        _normalise(normalization, _IMAGENET_MEAN, _IMAGENET_VARIANCE)
    return network


def _pretrained(build: Callable[..., keras.Model]) -> keras.Model:
    try:
        return build(weights="imagenet")
    except Exception as error:  # Keras raises a plain Exception for a failed download
        if "URL fetch failure" not in str(error):
            raise
        raise ConfigError(
            f"weights is 'imagenet', but they cannot be downloaded ({error}); use none or a path"
        ) from error


def _copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies weights by the names of layers; scales of Keras' own behind its input normalisation become part of it."""
    normalization = _input_normalization(target)
    for layer in target.layers:
        if layer.weights and layer is not normalization:
            layer.set_weights(source.get_layer(layer.name).get_weights())
    if normalization is not None:
        mean, variance, _ = _input_normalization(source).get_weights()
        scales = [np.asarray(layer.scale) for layer in source.layers if isinstance(layer, layers.Rescaling)][1:]
        _normalise(normalization, mean, variance / np.prod([scale**2 for scale in scales], axis=0))


def _input_normalization(network: keras.Model) -> layers.Normalization | None:
    """Returns the layer that holds the mean and variance of the input as weights; some networks have constants."""
    found = [layer for layer in network.layers if isinstance(layer, layers.Normalization) and layer.input_mean is None]
    return found[0] if found else None


def _normalise(normalization: layers.Normalization, mean: np.ndarray, variance: np.ndarray) -> None:
    """Sets mean and variance `[3]` of images in [0, 1]; without them inputs are all positive."""
    normalization.set_weights([mean, variance, np.zeros((), np.int32)])
    normalization.finalize_state()


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

    He et al. 2019, "Bag of tricks", section 3.1, zero gamma. As keras.applications names them, the block `x` ends in
    the layers `x_project_bn` and `x_add`.
    """
    for layer in network.layers:
        if layer.name.endswith(_ADD):
            gamma = network.get_layer(layer.name.removesuffix(_ADD) + _LAST_NORMALIZATION).gamma
            gamma.assign(tf.zeros_like(gamma))


def prepare_normalization(network: keras.Model) -> None:
    """Makes every batch normalisation follow short trainings, and agree between replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = _MOMENTUM
            layer.synchronized = replicas > 1
