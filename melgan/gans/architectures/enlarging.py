"""Ways in which a generator doubles the sides of its features; UPSAMPLINGS table."""

from collections.abc import Callable

import keras
from keras import layers

_RESIZED_SIZE = 3  # of the kernel; after repeating pixels it reaches as far as 4 x 4 of a transposed convolution


def transposed(
    inputs: keras.KerasTensor, filters: int, *, size: int, activation: str | None, name: str
) -> keras.KerasTensor:
    """A transposed convolution with strides of 2.

    Neighbouring pixels are made by other weights, so that a checkered grain remains. Odena et al. 2016.
    """
    return layers.Conv2DTranspose(
        filters, size, strides=2, padding="same", activation=activation, kernel_initializer=_initializer(), name=name
    )(inputs)


def resize(
    inputs: keras.KerasTensor, filters: int, *, size: int, activation: str | None, name: str
) -> keras.KerasTensor:
    """Pixels repeated twice along both axes, then a convolution: the same weights make every pixel.

    Odena et al. 2016, "Deconvolution and checkerboard artifacts". https://distill.pub/2016/deconv-checkerboard
    """
    del size  # of the transposed convolution that it stands for
    return layers.Conv2D(
        filters, _RESIZED_SIZE, padding="same", activation=activation, kernel_initializer=_initializer(), name=name
    )(layers.UpSampling2D()(inputs))


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)


UPSAMPLINGS: dict[str, Callable[..., keras.KerasTensor]] = {"transposed": transposed, "resize": resize}
