"""Extractors turn images into features; EXTRACTORS table. Real and fake images go through the same path.

An extractor resizes with antialiasing (Parmar et al. 2022: without it metrics measure the resizing).
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from melgan.pretrained.efficientnet_lite import LITE0, imagenet_classifier
from tfrecords_tools.foundation.errors import ConfigError

_PIXEL_SIDE = 32
_INCEPTION_SIDE = 299
_BATCH = 32
_RANDOM_SEED = 0


# images [N, H, W, 3] as the network wants them -> (features [N, F], probabilities of its classes [N, K])
FeatureNetwork = Callable[[tf.Tensor], Sequence[tf.Tensor]]


@dataclass(frozen=True)
class Extractor:
    """A way to turn images into features.

    `name` is printed with every metric; `identity` also tells weights apart, and names what is cached. `extract` maps
    uint8 images `[N, H, W, 3]` to features float32 `[N, F]` and the probabilities of its own classes `[N, K]`, or None.
    """

    name: str
    identity: str
    extract: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


def resize(images: np.ndarray, side: int) -> tf.Tensor:
    """Returns uint8 images `[N, H, W, C]` as float32 `[N, side, side, C]` in [0, 255], bilinear with antialiasing."""
    return tf.image.resize(tf.cast(images, tf.float32), (side, side), method="bilinear", antialias=True)


def pixel_vectors(images: np.ndarray) -> np.ndarray:
    """Returns uint8 images `[N, H, W, 3]` at 32 px as vectors float32 `[N, 3072]` in [0, 1]."""
    parts = [resize(images[start : start + _BATCH], _PIXEL_SIDE).numpy() for start in range(0, len(images), _BATCH)]
    return np.concatenate(parts).reshape(len(images), -1) / np.float32(255)


def pixels(weights: str) -> Extractor:
    """The pixels themselves, at 32 px: knows no forms, but needs no weights."""
    if weights:
        raise ConfigError("weights: the features `pixels` have none; leave it out, or use the features `inception`")
    return Extractor(f"pixels, {_PIXEL_SIDE} px antialiased", "pixels", lambda images: (pixel_vectors(images), None))


def inception(weights: str) -> Extractor:
    """InceptionV3 of keras.applications with ImageNet weights: pool features and the 1,000 classes.

    Metrics in papers use other weights (TensorFlow's graph of 2015), so these are not comparable with them.

    Raises:
      ConfigError: if the weights cannot be downloaded, or the file is not theirs.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of each layer that a wrong file lacks, then raises
            network = keras.applications.InceptionV3(weights=weights or "imagenet")
    except Exception as error:  # Keras raises a plain Exception for a failed download
        reason = str(error).partition("\n")[0]  # of wrong weights, Keras lists all 189 layers
        if weights:
            raise ConfigError(f"weights is {weights!r}, which is no file for InceptionV3 ({reason})") from error
        raise ConfigError(
            "the ImageNet weights of InceptionV3 cannot be downloaded here; fetch "
            "inception_v3_weights_tf_dim_ordering_tf_kernels.h5 elsewhere and give its path as weights, or use "
            f"the features lite0, classifier:RUN or pixels ({reason})"
        ) from error
    return _of_inception(network, "inception, ImageNet weights")


def lite0(weights: str) -> Extractor:
    """EfficientNet-Lite0 with ImageNet weights of a Python package, which need no download: features and 1,000 classes.

    Metrics on its features are not comparable with those on the features of another network.

    Raises:
      ConfigError: if a file of weights is given, or the package is not installed.
    """
    if weights:
        raise ConfigError("weights: the features `lite0` have their own; leave it out, or use the features `inception`")
    name = "EfficientNet-Lite0, ImageNet weights"
    return _of_imagenet(imagenet_classifier(LITE0), name, LITE0.image_size, lambda images: images)


def random(weights: str) -> Extractor:
    """InceptionV3 with fixed random weights: for tests, and for machines without the weights."""
    if weights:
        raise ConfigError("weights: the features `random` have none; leave it out, or use the features `inception`")
    network, rng = keras.applications.InceptionV3(weights=None), np.random.default_rng(_RANDOM_SEED)
    for kernel in (weight for weight in network.weights if len(weight.shape) > 1):
        kernel.assign(rng.normal(0.0, np.sqrt(2.0 / np.prod(kernel.shape[:-1])), kernel.shape))  # He et al. 2015
    return _of_inception(network, "inception, random weights")


def of_classifier(network: FeatureNetwork, image_size: int, name: str, identity: str) -> Extractor:
    """Returns the extractor of a classifier, from what `feature_network` makes of it: features of the domain."""

    def extract(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _in_batches(network, images, lambda batch: resize(batch, image_size))

    return Extractor(f"{name}, {image_size} px antialiased", identity, extract)


EXTRACTORS: dict[str, Callable[[str], Extractor]] = {
    "inception": inception,
    "pixels": pixels,
    "random": random,
    "lite0": lite0,
}


def _of_inception(network: keras.Model, name: str) -> Extractor:
    both = keras.Model(network.input, [network.get_layer("avg_pool").output, network.output])
    return _of_imagenet(both, name, _INCEPTION_SIDE, lambda images: images / 127.5 - 1.0)


def _of_imagenet(network: keras.Model, name: str, side: int, prepare: Callable[[tf.Tensor], tf.Tensor]) -> Extractor:
    """Returns the extractor of a network from prepared images of a side to features and probabilities."""

    # As a program, whose convolutions TensorFlow joins with what follows them, it takes half the time.
    of_any_number = [tf.TensorSpec((None, side, side, 3), tf.float32)]
    program = tf.function(partial(network, training=False), autograph=False, input_signature=of_any_number)

    def extract(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _in_batches(program, images, lambda batch: prepare(resize(batch, side)))

    digest = hashlib.sha256(b"".join(weight.numpy().tobytes() for weight in network.weights))
    return Extractor(f"{name}, {side} px antialiased", f"{name} {digest.hexdigest()}", extract)


def _in_batches(
    network: FeatureNetwork, images: np.ndarray, prepare: Callable[[np.ndarray], tf.Tensor]
) -> tuple[np.ndarray, np.ndarray]:
    parts = [network(prepare(images[start : start + _BATCH])) for start in range(0, len(images), _BATCH)]
    features, probabilities = (np.concatenate([part[index].numpy() for part in parts]) for index in (0, 1))
    return features.astype(np.float32), probabilities.astype(np.float64)
