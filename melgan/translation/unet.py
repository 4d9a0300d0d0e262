"""A U-Net from conditions to images: every resolution of the encoder is handed to the decoder beside what lies deeper.

Isola et al. 2017 (arXiv 1611.07004), section 6.1.1, for images of any power of two, with two changes: pixels are
repeated and convolved where the published network has transposed convolutions, which leave a checkered grain, and the
innermost features are 2 x 2, since instance normalisation of a single one would leave nothing of it.
"""

import keras
from keras import layers

from melgan.gans.architectures.filters import scaled_filters
from melgan.layers.dropout import Dropout
from melgan.layers.leaky_relu import LeakyReLU
from melgan.layers.normalization import instance_normalization
from melgan.layers.resized_convolution import ResizedConv2D
from tfrecords_tools.foundation.settings import require

_INNERMOST = 2  # pixels
_FIRST_FILTERS, _MOST_FILTERS = 64, 512
_DROPPING_BLOCKS = 3  # of the decoder, from the innermost outwards
_SIZE = 4  # of kernels that halve


def build_unet(
    image_size: int, in_channels: int, *, width: float, dropout: float, out_channels: int = 3
) -> keras.Model:
    """Returns a network from conditions `[N, H, W, in_channels]` to images `[N, H, W, out_channels]` in [-1, 1].

    The images are of the float type that Keras is set to, whatever the layers compute in.

    Arguments:
      image_size: H and W in pixels, a power of two of at least 8.
      in_channels: of the conditions.
      width: factor on the published number of filters.
      dropout: fraction of the features that the first blocks of the decoder drop; if it is not 0, the network takes
        noise for each of these after the conditions, see `melgan.layers.dropout.apply_network`.
      out_channels: of the images.

    Raises:
      ConfigError: for a size or a dropout that cannot be.
    """
    is_power = image_size & (image_size - 1) == 0
    require(is_power and image_size >= 4 * _INNERMOST, "image_size", image_size, "a power of two of at least 8")
    require(0 <= dropout < 1, "dropout", dropout, "from 0 up to, but not including, 1")
    conditions = keras.Input((image_size, image_size, in_channels), name="conditions")
    *skips, x = _encode(conditions, width)
    noises = []
    for block, skip in enumerate(reversed(skips)):
        resolution, filters = skip.shape[1], skip.shape[3]
        x = ResizedConv2D(filters, kernel_initializer=_initializer(), name=f"up_{resolution}")(x)
        x = instance_normalization(f"up_norm_{resolution}")(x)
        if dropout and block < _DROPPING_BLOCKS:
            noises.append(keras.Input(x.shape[1:], name=f"noise_{resolution}"))
            x = Dropout(dropout, name=f"dropout_{resolution}")(x, noises[-1])
        x = layers.Concatenate(name=f"joint_{resolution}")([layers.ReLU()(x), skip])
    x = ResizedConv2D(out_channels, kernel_initializer=_initializer(), name=f"up_{image_size}")(x)
    images = layers.Activation("tanh", dtype=keras.config.floatx(), name="images")(x)
    return keras.Model([conditions, *noises], images, name="unet")


def _encode(conditions: keras.KerasTensor, width: float) -> list[keras.KerasTensor]:
    """Returns the features of each resolution, from half of the image's to the innermost."""
    features, x, filters = [], conditions, _FIRST_FILTERS
    while x.shape[1] > _INNERMOST:
        resolution = x.shape[1] // 2
        x = layers.Conv2D(
            scaled_filters(filters, width),
            _SIZE,
            strides=2,
            padding="same",
            kernel_initializer=_initializer(),
            name=f"down_{resolution}",
        )(x)
        if features and resolution > _INNERMOST:
            x = instance_normalization(f"down_norm_{resolution}")(x)
        x = LeakyReLU(0.2)(x)
        features.append(x)
        filters = min(2 * filters, _MOST_FILTERS)
    return features


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)
