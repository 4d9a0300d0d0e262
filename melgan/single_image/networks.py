"""The networks of one scale: five convolutions that see 11 x 11 pixels. Shaham et al. 2019, section 2.1."""

import keras
from keras import layers

from melgan.gans.architectures.filters import scaled_filters
from melgan.layers.leaky_relu import LeakyReLU
from melgan.layers.normalization import instance_normalization

MARGIN = 5  # pixels that five valid 3 x 3 convolutions take from every side
_FILTERS, _MOST_FILTERS = 32, 128
_SCALES_OF_EQUAL_FILTERS = 4
_HIDDEN = 4
_SLOPE = 0.2


def num_filters(scale: int, width: float) -> int:
    """Returns the filters of both networks of a scale, counted from 0: 32, doubled every four, at most 128."""
    return scaled_filters(min(_FILTERS * 2 ** (scale // _SCALES_OF_EQUAL_FILTERS), _MOST_FILTERS), width)


def build_generator(size: int, channels: int, filters: int, *, normalization: str) -> keras.Model:
    """Returns a network that maps an image with its margin to what shall be added to the image.

    Arguments:
      size: side S of the image in pixels.
      channels: of the image.
      filters: of the hidden convolutions.
      normalization: `instance` or `none`.

    Returns:
      A model from `[N, S + 10, S + 10, channels]` to `[N, S, S, channels]` in [-1, 1].
    """
    side = size + 2 * MARGIN
    images = keras.Input((side, side, channels), name="images")
    x = _hidden_layers(images, filters, normalized=normalization == "instance")
    x = _convolution(channels, "last")(x)
    return keras.Model(images, layers.Activation("tanh", name="residual")(x), name=f"generator_{size}")


def build_discriminator(size: int, channels: int, filters: int) -> keras.Model:
    """Returns a network from images to a map of how real each 11 x 11 pixels of them look.

    It has no normalisation, whatever the generator has: its gradient penalty is one of single pixels.

    Returns:
      A model from `[N, S, S, channels]` to `[N, S - 10, S - 10, 1]`.
    """
    images = keras.Input((size, size, channels), name="images")
    x = _hidden_layers(images, filters, normalized=False)
    return keras.Model(images, _convolution(1, "last")(x), name=f"discriminator_{size}")


def _hidden_layers(x: keras.KerasTensor, filters: int, *, normalized: bool) -> keras.KerasTensor:
    for number in range(_HIDDEN):
        x = _convolution(filters, f"convolution_{number}", use_bias=not normalized)(x)
        if normalized:
            x = instance_normalization(f"norm_{number}")(x)
        x = LeakyReLU(_SLOPE, name=f"activation_{number}")(x)
    return x


def _convolution(filters: int, name: str, *, use_bias: bool = True) -> keras.layers.Conv2D:
    initializer = keras.initializers.RandomNormal(stddev=0.02)
    return layers.Conv2D(filters, 3, use_bias=use_bias, kernel_initializer=initializer, name=name)
