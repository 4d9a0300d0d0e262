"""EfficientNet of keras.applications, with weights that Keras downloads or that lie in a file of that layout."""

from collections.abc import Callable
from functools import partial

import h5py
import keras
import numpy as np
from keras import layers

from melgan.training.weights import load_weights
from tfrecords_tools.foundation.errors import ConfigError, DataError

# Of images in [0, 1].
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_IMAGENET_VARIANCE = np.array([0.229, 0.224, 0.225], np.float32) ** 2

# Layers of files that a network for features does not take: of the input, and the top by its names in both packages.
_NOT_LOADED = ("normalization", "predictions", "probs")


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


def load_keras_file(network: keras.Model, path: str) -> None:
    """Loads a file of EfficientNet in the layout of Keras 2, by the names of layers, with or without its top.

    Such are efficientnetb0_notop.h5 of keras.applications and the files, noisy student's among them, of the package
    `efficientnet`, whose layers have the same names. The normalisation of the input stays: those files have none, or
    numbers that Keras corrects by a layer more.

    Raises:
      DataError: naming the file, if it cannot be read or is of another network.
    """
    expected = {layer.name for layer in network.layers if layer.weights and not _is_normalization(layer)}
    found = {name for name in _names_of_layers(path) if not name.startswith(_NOT_LOADED)}
    if found != expected:
        example = min(expected ^ found)
        where = "misses" if example in expected else "has"
        raise DataError(f"{path}: no weights of {network.name} (it {where} the layer {example})")
    normalization = _input_normalization(network)
    kept = normalization.get_weights() if normalization else []
    load_weights(network, path, by_name=True)
    if normalization:
        normalization.set_weights(kept)
        normalization.finalize_state()


def _names_of_layers(path: str) -> list[str]:
    """Returns the names of the layers that have weights in a file of Keras 2."""
    try:
        with h5py.File(path) as file:
            groups = file.get("model_weights", file)
            inside = [name for name in groups if isinstance(groups.get(name, getlink=True), h5py.HardLink)]
            return [name for name in inside if len(groups[name].attrs.get("weight_names", ()))]
    except (OSError, RuntimeError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: no file of weights ({error})") from error


def _pretrained(build: Callable[..., keras.Model]) -> keras.Model:
    try:
        return build(weights="imagenet")
    except Exception as error:  # Keras raises a plain Exception for a failed download
        if "URL fetch failure" not in str(error):
            raise
        raise ConfigError(
            f"weights is 'imagenet', but they cannot be downloaded ({error}); fetch that file elsewhere and give its "
            "path as weights, or put it into $KERAS_HOME/models (~/.keras/models); efficientnet_lite0 needs no download"
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
    found = [layer for layer in network.layers if _is_normalization(layer)]
    return found[0] if found else None


def _is_normalization(layer: keras.Layer) -> bool:
    return isinstance(layer, layers.Normalization) and layer.input_mean is None


def _normalise(normalization: layers.Normalization, mean: np.ndarray, variance: np.ndarray) -> None:
    """Sets mean and variance `[3]` of images in [0, 1]; without them inputs are all positive."""
    normalization.set_weights([mean, variance, np.zeros((), np.int32)])
    normalization.finalize_state()
