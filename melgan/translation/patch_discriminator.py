"""PatchGAN: a discriminator that tells of every patch of an image whether it is real, and so sees texture alone.

Isola et al. 2017, "Image-to-image translation with conditional adversarial networks", section 3.2.2 and appendix 6.1.2,
with instance normalisation as Zhu et al. 2017. Its patches are of 70 pixels in images of 256, and as large a part of
the image in other sizes: 34 of 128, 16 of 64. https://arxiv.org/abs/1611.07004
"""

import keras
from keras import layers

from melgan.gans.architectures.filters import scaled_filters
from melgan.layers.leaky_relu import LeakyReLU
from melgan.layers.normalization import instance_normalization
from melgan.translation.resnet import initializer

_FIRST_FILTERS, _MOST_FILTERS = 64, 512
_SIZE = 4  # of kernels
_UNHALVED = 32  # the side of images that are not halved at all


def build(image_size: int, in_channels: int, width: float) -> keras.Model:
    """Returns a network from images `[N, H, W, in_channels]` to logits `[N, h, w, 1]` of patches.

    Arguments:
      image_size: H and W in pixels, a power of two from 32 on.
      in_channels: of the images, with those of a condition.
      width: factor on the published number of filters.
    """
    images = x = keras.Input((image_size, image_size, in_channels), name="images")
    num_halved = num_halving_layers(image_size)
    for number in range(num_halved + 1):
        strides = 2 if number < num_halved else 1
        x = _convolution(
            scaled_filters(min(_FIRST_FILTERS << number, _MOST_FILTERS), width), strides, f"conv_{number}"
        )(x)
        x = instance_normalization(f"norm_{number}")(x) if number else x
        x = LeakyReLU(0.2)(x)
    return keras.Model(images, _convolution(1, 1, "logits")(x), name="discriminator")


def num_halving_layers(image_size: int) -> int:
    """Returns how many layers halve the size of an image: log2(size / 32)."""
    return (image_size // _UNHALVED).bit_length() - 1


def _convolution(filters: int, strides: int, name: str) -> layers.Conv2D:
    return layers.Conv2D(filters, _SIZE, strides=strides, padding="same", kernel_initializer=initializer(), name=name)
