"""The networks of SAGAN at 32, 64, 128 and 256 px: residual, spectrally normalised, with self-attention.

Zhang et al. 2018, section 4, and the authors' code (github.com/brain-research/self-attention-gan). At 128 px and width
1 the filters are the published ones; other sizes add or drop the outermost resolution. Attention is at 32 px, but in
the discriminator of 32 px images at 16 px, the largest that its first block leaves. The class enters the generator by
conditional batch normalisation, and the discriminator by projection: Miyato and Koyama 2018, eq. 3.
"""

import keras
from keras import layers

from melgan.gans.architectures.filters import scaled_filters
from melgan.gans.architectures.networks import Discriminator, Networks, NetworkShape, require_image_size
from melgan.layers.attention import self_attention
from melgan.layers.normalization import ConditionalBatchNormalization, batch_normalization
from melgan.layers.projection import projection_head
from melgan.layers.spectral import SpectralConv2D, SpectralDense, SpectralEmbedding

# Filters of the block that ends at each resolution, in the generator and in the discriminator.
_UP_FILTERS = {8: 1024, 16: 512, 32: 256, 64: 128, 128: 64, 256: 32}
_DOWN_FILTERS = {128: 32, 64: 64, 32: 128, 16: 256, 8: 512, 4: 1024}
_INNERMOST, _INNERMOST_FILTERS = 4, 1024
_ATTENTION = 32
_EPSILON = 1e-5  # of batch normalisation


def build(shape: NetworkShape) -> Networks:
    """Returns the networks.

    Raises:
      ConfigError: for an image size that is not 32, 64, 128 or 256.
    """
    require_image_size(shape.image_size, "sagan")
    return Networks(_generator(shape), Discriminator(_trunk(shape), _head(shape)), encoder=None)


def _generator(shape: NetworkShape) -> keras.Model:
    latents = keras.Input((shape.latent_dim,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    filters = scaled_filters(_INNERMOST_FILTERS, shape.width)
    x = SpectralDense(_INNERMOST * _INNERMOST * filters, name="dense")(latents)
    x = layers.Reshape((_INNERMOST, _INNERMOST, filters))(x)
    for resolution, filters in _UP_FILTERS.items():
        if resolution <= shape.image_size:
            x = _up_block(x, labels, shape.num_classes, scaled_filters(filters, shape.width), f"up_{resolution}")
        if resolution == _ATTENTION:
            x = self_attention(x, "attention")
    x = layers.ReLU()(batch_normalization("norm", epsilon=_EPSILON)(x))
    images = layers.Activation("tanh", name="images")(SpectralConv2D(3, 3, name="to_images")(x))
    return keras.Model([latents, labels], images, name="generator")


def _trunk(shape: NetworkShape) -> keras.Model:
    """Residual blocks down to 4 x 4 and one more, summed over the places."""
    images = keras.Input((shape.image_size, shape.image_size, 3), name="images")
    x = images
    for resolution, filters in _DOWN_FILTERS.items():
        if resolution < shape.image_size:
            x = _down_block(x, scaled_filters(filters, shape.width), f"down_{resolution}", first=x is images)
        if resolution == min(_ATTENTION, shape.image_size // 2):
            x = self_attention(x, "attention")
    residue = _two_convolutions(layers.ReLU()(x), x.shape[-1], "last")
    x = layers.ReLU()(layers.Add()([x, residue]))
    return keras.Model(images, keras.ops.sum(x, axis=(1, 2)), name="trunk")


def _head(shape: NetworkShape) -> keras.Model:
    num_features = scaled_filters(_INNERMOST_FILTERS, shape.width)
    embedding = SpectralEmbedding(shape.num_classes, num_features, name="embedding")
    return projection_head(num_features, embedding, SpectralDense(1, name="logit"))


def _up_block(
    inputs: keras.KerasTensor, labels: keras.KerasTensor, num_classes: int, filters: int, name: str
) -> keras.KerasTensor:
    """Returns features `[N, 2H, 2W, filters]` for inputs `[N, H, W, C]`."""
    x = ConditionalBatchNormalization(num_classes, epsilon=_EPSILON, name=f"{name}_norm_1")(inputs, labels)
    x = layers.UpSampling2D()(layers.ReLU()(x))
    x = SpectralConv2D(filters, 3, name=f"{name}_1")(x)
    x = ConditionalBatchNormalization(num_classes, epsilon=_EPSILON, name=f"{name}_norm_2")(x, labels)
    x = SpectralConv2D(filters, 3, name=f"{name}_2")(layers.ReLU()(x))
    # Equal to the published order, enlarging first, with a quarter of the work.
    return layers.Add()([x, layers.UpSampling2D()(SpectralConv2D(filters, 1, name=f"{name}_skip")(inputs))])


def _down_block(inputs: keras.KerasTensor, filters: int, name: str, *, first: bool) -> keras.KerasTensor:
    """Returns features `[N, H / 2, W / 2, filters]` for inputs `[N, H, W, C]`; the first block's are images."""
    x = _two_convolutions(inputs if first else layers.ReLU()(inputs), filters, name)
    # Likewise: the mean over four places before the linear function instead of after it.
    skipped = SpectralConv2D(filters, 1, name=f"{name}_skip")(layers.AveragePooling2D(2)(inputs))
    return layers.Add()([layers.AveragePooling2D(2)(x), skipped])


def _two_convolutions(inputs: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    x = SpectralConv2D(filters, 3, name=f"{name}_1")(inputs)
    return SpectralConv2D(filters, 3, name=f"{name}_2")(layers.ReLU()(x))
