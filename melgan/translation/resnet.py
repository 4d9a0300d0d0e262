"""The residual generator of CycleGAN and CUT: images are halved twice, changed, and doubled twice.

Zhu et al. 2017, section 7.2 (c7s1-64, d128, d256, R256 x 6 or 9, u128, u64, c7s1-3), after Johnson et al. 2016. Kernels
that halve are 4 x 4 in place of 3 x 3, so that a mirrored image can have mirrored features, and pixels are repeated and
convolved where the published network has transposed convolutions, which leave a checkered grain.
https://arxiv.org/abs/1703.10593
"""

import keras
from keras import layers

from melgan.gans.architectures.filters import scaled_filters
from melgan.layers.add_within_range import AddWithinRange
from melgan.layers.normalization import instance_normalization
from melgan.layers.reflect_padding import ReflectPadding2D
from melgan.layers.resized_convolution import ResizedConv2D
from melgan.translation.config import TranslatorConfig
from melgan.translation.networks import Generator

FILTERS = (64, 128, 256)  # at the size of the image, at half of it, at a quarter
_EDGE_SIZE = 7  # of the first and the last kernel


def build(config: TranslatorConfig, in_channels: int) -> Generator:
    """Returns the generator. Its taps, as in CUT: the inputs, each halved size, two blocks: the first, the middle."""
    inputs = keras.Input((config.image_size, config.image_size, in_channels), name="inputs")
    *halved, x = encoded(inputs, config.width)
    taps = [inputs, *halved[1:], x]
    tapped_blocks = {1, (config.num_blocks + 1) // 2}
    for number in range(1, config.num_blocks + 1):
        x = residual_block(x, f"block_{number}")
        taps += [x] if number in tapped_blocks else []
    images = image_head(decoded(x, config.width, "up"), inputs, config.residual)
    return Generator(
        translate=keras.Model(inputs, images, name="generator"),
        whole=keras.Model(inputs, {"images": images, "taps": taps}, name="whole_generator"),
        tapped=keras.Model(inputs, taps, name="taps"),
    )


def encoded(inputs: keras.KerasTensor, width: float) -> list[keras.KerasTensor]:
    """Returns the features of inputs `[N, H, W, C]` at their size, at half of it and at a quarter."""
    first, *others = (scaled_filters(filters, width) for filters in FILTERS)
    features = [_edge_convolution(inputs, first, "first", initializer())]
    features[0] = layers.ReLU()(instance_normalization("first_norm")(features[0]))
    for number, filters in enumerate(others, start=1):
        x = layers.Conv2D(
            filters, 4, strides=2, padding="same", kernel_initializer=initializer(), name=f"down_{number}"
        )(features[-1])
        features.append(layers.ReLU()(instance_normalization(f"down_{number}_norm")(x)))
    return features


def residual_block(inputs: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Returns inputs `[N, H, W, C]` plus what two convolutions make of them."""
    x = inputs
    for number in (1, 2):
        x = ReflectPadding2D(1, name=f"{name}_padding_{number}")(x)
        x = layers.Conv2D(inputs.shape[-1], 3, kernel_initializer=initializer(), name=f"{name}_{number}")(x)
        x = instance_normalization(f"{name}_norm_{number}")(x)
        x = layers.ReLU()(x) if number == 1 else x
    return layers.Add(name=name)([inputs, x])


def decoded(inputs: keras.KerasTensor, width: float, name: str) -> keras.KerasTensor:
    """Returns features `[N, 4 H, 4 W, filters]` for inputs `[N, H, W, C]`."""
    x = inputs
    for number, filters in enumerate(FILTERS[1::-1], start=1):
        x = ResizedConv2D(scaled_filters(filters, width), kernel_initializer=initializer(), name=f"{name}_{number}")(x)
        x = layers.ReLU()(instance_normalization(f"{name}_{number}_norm")(x))
    return x


def image_head(features: keras.KerasTensor, inputs: keras.KerasTensor, residual: bool) -> keras.KerasTensor:
    """Returns images `[N, H, W, 3]` in [-1, 1] of features `[N, H, W, C]`.

    Arguments:
      features: of the last layer but one.
      inputs: images `[N, H, W, 3]` that are translated.
      residual: whether a change is made that is added to the inputs, none at first, instead of images. Normalised
        features do not tell how bright an image is; the inputs do. Shen and Liu 2017, "Learning residual images for
        face attribute manipulation", section 3.1.
    """
    x = _edge_convolution(features, 3, "last", "zeros" if residual else initializer())
    made = layers.Activation("tanh", dtype=keras.config.floatx(), name="change" if residual else "images")(x)
    return AddWithinRange(name="images")([inputs, made]) if residual else made


def parsing_head(features: keras.KerasTensor) -> keras.KerasTensor:
    """Returns logits of a mask `[N, H, W, 1]` of features `[N, H, W, C]`."""
    return _edge_convolution(features, 1, "parsing", initializer())


def decoder_kernels(model: keras.Model, name: str) -> list[keras.Variable]:
    """Returns the kernels of a decoder, by the name that `decoded` was given."""
    return [model.get_layer(f"{name}_{number}").kernel for number in range(1, len(FILTERS))]


def initializer() -> keras.initializers.Initializer:
    """Returns the initializer of all kernels. Zhu et al. 2017, section 4."""
    return keras.initializers.RandomNormal(stddev=0.02)


def _edge_convolution(
    inputs: keras.KerasTensor, filters: int, name: str, kernel_initializer: keras.initializers.Initializer | str
) -> keras.KerasTensor:
    padded = ReflectPadding2D(_EDGE_SIZE // 2, name=f"{name}_padding")(inputs)
    return layers.Conv2D(filters, _EDGE_SIZE, kernel_initializer=kernel_initializer, name=name)(padded)
