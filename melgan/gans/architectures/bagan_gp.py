"""The networks of BAGAN-GP at 32, 64, 128 and 256 px.

Huang and Jafari 2021, figures 3 to 5, and the authors' code (github.com/GH920/improved-bagan-gp). At 64 px and width
1 the filters are the published ones; other sizes add or drop the outermost resolution.
"""

import keras
from keras import layers

from melgan.gans.architectures.conditioning import CONDITIONINGS, concatenated
from melgan.gans.architectures.enlarging import UPSAMPLINGS
from melgan.gans.architectures.filters import scaled_filters
from melgan.gans.architectures.networks import (
    Discriminator,
    LowGenerator,
    LowTrunk,
    Networks,
    NetworkShape,
    require_image_size,
)
from melgan.layers.leaky_relu import LeakyReLU
from melgan.layers.normalization import batch_normalization
from melgan.layers.per_label import PerLabel
from melgan.layers.pixel_norm import PixelNorm
from melgan.layers.two_linear import TwoLinear

# Filters at each resolution, from the innermost outwards; the same in encoder, trunk and decoder.
_FILTERS = {4: 256, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16}
_SIZE = 4  # of kernels
SHARED_UNTIL = (4, 8, 16, 32, 64)  # pixels, up to which a generator may know no class
_LABEL_UNITS = 512


def build(shape: NetworkShape) -> Networks:
    """Returns the networks.

    Raises:
      ConfigError: for an image size that is not 32, 64, 128 or 256.
    """
    require_image_size(shape.image_size, "bagan_gp")
    generator, low_generator = _generator(shape)
    trunk = _trunk(shape)
    low_trunk = _low_trunk(shape, trunk) if shape.shared_until else None
    discriminator = Discriminator(trunk, _head(shape), low_trunk=low_trunk)
    return Networks(generator, discriminator, _encoder(shape), decoder=generator, low_generator=low_generator)


def _generator(shape: NetworkShape) -> tuple[keras.Model, LowGenerator | None]:
    """Labelled latents, as published multiplied by the embedding; then transposed convolutions from 4 x 4.

    With `shared_until` the first layers see the latents alone, and the labelled ones scale and shift the features of
    the layers behind: Khorram et al. 2024, who have them as the styles of StyleGAN2.
    """
    latents = keras.Input((shape.latent_dim,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    if shape.has_transition:
        labelled = concatenated(latents, labels, shape.num_classes, has_transition=True)
    else:
        labelled = CONDITIONINGS[shape.conditioning](latents, labels, shape.num_classes)
    shared_until = shape.shared_until or 0
    x = PixelNorm(name="shared_latents")(latents) if shared_until else labelled
    enlarge = UPSAMPLINGS[shape.upsampling]
    innermost, *outer = _hidden_resolutions(shape)
    filters = scaled_filters(_FILTERS[innermost], shape.width)
    x = LeakyReLU(0.2)(layers.Dense(innermost * innermost * filters, name="dense")(x))
    x = layers.Reshape((innermost, innermost, filters))(x)
    features = {innermost: x}
    for resolution in outer:
        x = enlarge(x, scaled_filters(_FILTERS[resolution], shape.width), size=_SIZE, name=f"up_{resolution}")
        x = batch_normalization(f"norm_{resolution}")(x)
        if 0 < shared_until < resolution:
            x = _styled(x, labelled, resolution)
        features[resolution] = x = LeakyReLU(0.2)(x)
    images = enlarge(x, 3, size=_SIZE, activation="tanh", name=f"up_{shape.image_size}")
    generator = keras.Model([latents, labels], images, name="generator")
    if not shared_until:
        return generator, None
    both = keras.Model([latents, labels], [images, features[shared_until]], name="generator_with_features")
    return generator, LowGenerator(both, _to_images(features[shared_until].shape[1:]))


def _styled(x: keras.KerasTensor, labelled: keras.KerasTensor, resolution: int) -> keras.KerasTensor:
    """Returns features `[N, H, W, F]` scaled and shifted by labelled latents: (1 + scale) x + shift."""
    filters = x.shape[-1]
    scale, shift = (
        layers.Reshape((1, 1, filters))(layers.Dense(filters, name=f"{name}_{resolution}")(labelled))
        for name in ("scale", "shift")
    )
    return layers.Add()([x, layers.Multiply()([x, scale]), shift])


def _to_images(shape: tuple[int, int, int]) -> keras.Model:
    """Returns the layer that makes images in [-1, 1] of features of a shape `[S, S, F]`."""
    features = keras.Input(shape, name="features")
    convolution = layers.Conv2D(3, 1, activation="tanh", kernel_initializer=_initializer(), name="to_images")
    return keras.Model(features, convolution(features), name="to_low_images")


def _low_trunk(shape: NetworkShape, trunk: keras.Model) -> LowTrunk:
    """Returns a layer of its own for small images, and the layers of the trunk that follow at their size."""
    side, filters = shape.shared_until, scaled_filters(_FILTERS[shape.shared_until], shape.width)
    images = keras.Input((side, side, 3), name="images")
    convolution = layers.Conv2D(filters, 1, kernel_initializer=_initializer(), name="from_images")
    from_images = keras.Model(images, LeakyReLU(0.2)(convolution(images)), name="from_low_images")
    features = keras.Input((side, side, filters), name="features")
    x = features
    for resolution in reversed([resolution for resolution in _FILTERS if resolution < side]):
        x = LeakyReLU(0.2)(trunk.get_layer(f"down_{resolution}")(x))
    return LowTrunk(from_images, keras.Model(features, layers.Flatten()(x), name="low_trunk"))


def _encoder(shape: NetworkShape) -> keras.Model:
    """The autoencoder's encoder: images to latents."""
    trunk = _trunk(shape)
    latents = LeakyReLU(0.2)(layers.Dense(shape.latent_dim, name="latents")(trunk.output))
    return keras.Model(trunk.input, latents, name="encoder")


def _trunk(shape: NetworkShape) -> keras.Model:
    """Strided convolutions down to 4 x 4, flattened. Without normalisation, which the penalty does not go with."""
    images = keras.Input((shape.image_size, shape.image_size, 3), name="images")
    x = images
    for resolution in reversed(_hidden_resolutions(shape)):
        filters = scaled_filters(_FILTERS[resolution], shape.width)
        convolution = layers.Conv2D(
            filters, _SIZE, strides=2, padding="same", kernel_initializer=_initializer(), name=f"down_{resolution}"
        )
        x = LeakyReLU(0.2)(convolution(x))
    return keras.Model(images, layers.Flatten()(x), name="trunk")


def _head(shape: NetworkShape) -> keras.Model:
    """Features times label features, then two linear layers."""
    num_features = 4 * 4 * scaled_filters(_FILTERS[4], shape.width)
    units = scaled_filters(_LABEL_UNITS, shape.width)
    features = keras.Input((num_features,), name="features")
    labels = keras.Input((), dtype="int32", name="labels")
    embedding = layers.Embedding(shape.num_classes, units, name="embedding")
    dense = layers.Dense(num_features, name="label_features")
    label_features = PerLabel(embedding, dense, LeakyReLU(0.2), name="per_label")(labels)
    joint, logit = layers.Dense(units, name="joint"), layers.Dense(1, name="logit")
    logits = TwoLinear(joint, logit, name="logit")(layers.Multiply()([features, label_features]))
    logits = layers.Reshape(())(logits)
    return keras.Model([features, labels], logits, name="head")


def _hidden_resolutions(shape: NetworkShape) -> list[int]:
    return [resolution for resolution in _FILTERS if resolution < shape.image_size]


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)
