"""The networks of R3GAN at 32, 64, 128 and 256 px: residual, with grouped convolutions and without normalisation.

Huang et al. 2024, "The GAN is dead; long live the GAN!", section 3, and the authors' code (github.com/brownvc/R3GAN,
Networks.py). At 64 and 256 px and width 1 the filters are those published for FFHQ; 128 px has those of 256 px without
the outermost resolution, and 32 px those of 64 px likewise, where the authors take 192 at all resolutions for CIFAR-10
and 1536 for ImageNet. Generator and discriminator mirror each other. The class enters the generator beside the latents,
and the discriminator by projection, without a term that is blind to the class.

Images are a linear function of the last features, as published: they may leave [-1, 1], and are clipped when stored.
"""

import math

import keras
import tensorflow as tf
from keras import layers

from melgan.gans.architectures.networks import Discriminator, Networks, NetworkShape, require_image_size
from melgan.layers.grouped_convolution import GroupedConv2D
from melgan.layers.leaky_relu import LeakyReLU
from melgan.layers.projection import projection_head
from melgan.layers.resampling import Downsample2D, Upsample2D

# Filters at each resolution, from the innermost outwards; the same in both networks.
_FILTERS = {4: 768, 8: 768, 16: 768, 32: 768, 64: 384, 128: 192, 256: 96}
_INNERMOST = 4
_BLOCKS = 2  # at each resolution
_EXPANSION = 2
_GROUP_SIZE = 16
_SLOPE = 0.2
_LABEL_UNITS = 64  # in the generator; as many as latents in the authors' settings
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))  # keeps the variance through the activation. He et al. 2015, eq. 15


def build(shape: NetworkShape) -> Networks:
    """Returns the networks.

    Raises:
      ConfigError: for an image size that is not 32, 64, 128 or 256.
    """
    require_image_size(shape.image_size, "r3gan")
    return Networks(_generator(shape), Discriminator(_trunk(shape), _head(shape)), encoder=None)


class GenerativeBasis(keras.layers.Layer):
    """A learnt map of 4 x 4 places for every channel, times a linear function of the inputs."""

    def __init__(self, channels: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._channels = channels
        self.linear = layers.Dense(channels, use_bias=False, kernel_initializer=_initializer(), name="linear")

    def build(self, input_shape: tuple) -> None:
        """Creates the weights."""
        self.linear.build(input_shape)
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.maps = self.add_weight((_INNERMOST, _INNERMOST, self._channels), normal, name="maps")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, 4, 4, channels]` for inputs `[N, C]`."""
        return self.maps.value * self.linear(inputs)[:, None, None]


class DiscriminativeBasis(keras.layers.Layer):
    """For every channel the product of its 4 x 4 places with a learnt map, summed; then a linear function of these."""

    def __init__(self, units: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.linear = layers.Dense(units, use_bias=False, kernel_initializer=_initializer(), name="linear")

    def build(self, input_shape: tuple) -> None:
        """Creates the weights."""
        *places, channels = input_shape[1:]
        self.linear.build((input_shape[0], channels))
        normal = keras.initializers.RandomNormal(stddev=1 / math.sqrt(math.prod(places)))
        self.maps = self.add_weight((*places, channels), normal, name="maps")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, units]` for inputs `[N, 4, 4, C]`."""
        return self.linear(tf.reduce_sum(inputs * self.maps.value, axis=[1, 2]))


def _generator(shape: NetworkShape) -> keras.Model:
    latents = keras.Input((shape.latent_dim,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    embedded = _embedding(shape.num_classes, _LABEL_UNITS)(labels)
    x = layers.Concatenate(name="labelled_latents")([latents, embedded])
    x = GenerativeBasis(_filters(_INNERMOST, shape), name="basis")(x)
    for resolution in _resolutions(shape):
        if resolution > _INNERMOST:
            x = Upsample2D(name=f"up_{resolution}")(_with_filters(x, _filters(resolution, shape), f"to_{resolution}"))
        x = _blocks(x, shape, f"block_{resolution}")
    return keras.Model([latents, labels], _pointwise(3, "images")(x), name="generator")


def _trunk(shape: NetworkShape) -> keras.Model:
    images = keras.Input((shape.image_size, shape.image_size, 3), name="images")
    outermost, *inner = reversed(_resolutions(shape))
    x = _blocks(_pointwise(_filters(outermost, shape), "from_images")(images), shape, f"block_{outermost}")
    for resolution in inner:
        x = _with_filters(Downsample2D(name=f"down_{resolution}")(x), _filters(resolution, shape), f"to_{resolution}")
        x = _blocks(x, shape, f"block_{resolution}")
    return keras.Model(images, DiscriminativeBasis(x.shape[-1], name="basis")(x), name="trunk")


def _head(shape: NetworkShape) -> keras.Model:
    num_features = _filters(_INNERMOST, shape)
    return projection_head(num_features, _embedding(shape.num_classes, num_features, gain=1 / math.sqrt(num_features)))


def _blocks(inputs: keras.KerasTensor, shape: NetworkShape, name: str) -> keras.KerasTensor:
    """Returns the inputs `[N, H, W, C]` after two residual blocks; at first the inputs themselves."""
    x, filters = inputs, inputs.shape[-1]
    hidden = _EXPANSION * filters
    # Fix-up: the layers before the last, which begins at zero, together keep the sum of all blocks from growing.
    gain = _GAIN * (_BLOCKS * len(_resolutions(shape))) ** -0.25
    for number in range(1, _BLOCKS + 1):
        part = f"{name}_{number}"
        residue = _pointwise(hidden, f"{part}_expanded", gain=gain, use_bias=True)(x)
        grouped = GroupedConv2D(
            hidden,
            3,
            padding="same",
            groups=hidden // _GROUP_SIZE,
            kernel_initializer=_initializer(gain),
            name=f"{part}_grouped",
        )
        residue = LeakyReLU(_SLOPE)(grouped(LeakyReLU(_SLOPE)(residue)))
        x = layers.Add(name=part)([x, _pointwise(filters, f"{part}_residue", gain=0.0)(residue)])
    return x


def _with_filters(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Returns features `[N, H, W, filters]`; where there are as many already, the same."""
    return x if x.shape[-1] == filters else _pointwise(filters, name)(x)


def _pointwise(filters: int, name: str, *, gain: float = 1.0, use_bias: bool = False) -> layers.Conv2D:
    return layers.Conv2D(filters, 1, use_bias=use_bias, kernel_initializer=_initializer(gain), name=name)


def _embedding(num_classes: int, units: int, *, gain: float = 1.0) -> layers.Embedding:
    """Returns a layer equal to a linear one on classes as unit vectors, by which its first values are measured."""
    return layers.Embedding(num_classes, units, embeddings_initializer=_initializer(gain), name="embedding")


def _initializer(gain: float = 1.0) -> keras.initializers.Initializer:
    """Returns normal weights of deviation gain / sqrt(inputs of a unit), or zeros. He et al. 2015, section 2.2."""
    if not gain:
        return keras.initializers.Zeros()
    return keras.initializers.VarianceScaling(gain**2, mode="fan_in", distribution="untruncated_normal")


def _resolutions(shape: NetworkShape) -> list[int]:
    return [resolution for resolution in _FILTERS if resolution <= shape.image_size]


def _filters(resolution: int, shape: NetworkShape) -> int:
    """Returns the filters at a resolution, scaled so that the filters of a block divide into groups."""
    unit = _GROUP_SIZE // _EXPANSION
    return unit * max(1, round(_FILTERS[resolution] * shape.width / unit))
