"""Ways in which a generator doubles the sides of its features; UPSAMPLINGS table.

Each takes features `[N, H, W, C]`, a number of filters, the published size of kernels, the name of the layer and its
activation, and returns `[N, 2H, 2W, filters]`.
"""

from collections.abc import Callable

import keras
from keras import layers

from melgan.layers.resized_convolution import ResizedConv2D


def transposed(
    inputs: keras.KerasTensor, filters: int, *, size: int, name: str, activation: str | None = None
) -> keras.KerasTensor:
    """A transposed convolution with strides of 2.

    Neighbouring pixels are made by other weights, which leaves a checkered grain.
    """
    return layers.Conv2DTranspose(
        filters, size, strides=2, padding="same", activation=activation, kernel_initializer=_initializer(), name=name
    )(inputs)


def resize(
    inputs: keras.KerasTensor, filters: int, *, size: int, name: str, activation: str | None = None
) -> keras.KerasTensor:
    """Repeated pixels, then a convolution of 3 x 3, whatever the size of the kernels that it stands for."""
    del size
    return ResizedConv2D(filters, activation=activation, kernel_initializer=_initializer(), name=name)(inputs)


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)


UPSAMPLINGS: dict[str, Callable[..., keras.KerasTensor]] = {"transposed": transposed, "resize": resize}
