"""The networks of BAGAN-GP at 32, 64, 128 and 256 px.

Huang and Jafari 2021, figures 3 to 5, and the authors' code (github.com/GH920/improved-bagan-gp). At 64 px and width
1 the filters are the published ones; other sizes add or drop the outermost resolution.
"""

import keras
from keras import layers

from melgan.gans.architectures.conditioning import CONDITIONINGS, concatenated
from melgan.gans.architectures.enlarging import UPSAMPLINGS
from melgan.gans.architectures.filters import scaled_filters
from melgan.gans.architectures.networks import Discriminator, Networks, NetworkShape, require_image_size
from melgan.layers.leaky_relu import LeakyReLU
from melgan.layers.normalization import batch_normalization
from melgan.layers.per_label import PerLabel
from melgan.layers.two_linear import TwoLinear

# Filters at each resolution, from the innermost outwards; the same in encoder, trunk and decoder.
_FILTERS = {4: 256, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16}
_SIZE = 4  # of kernels
_LABEL_UNITS = 512


def build(shape: NetworkShape) -> Networks:
    """Returns the networks.

    Raises:
      ConfigError: for an image size that is not 32, 64, 128 or 256.
    """
    require_image_size(shape.image_size, "bagan_gp")
    generator = _generator(shape)
    return Networks(generator, Discriminator(_trunk(shape), _head(shape)), _encoder(shape), decoder=generator)


def _generator(shape: NetworkShape) -> keras.Model:
    """Labelled latents, as published multiplied by the embedding; then transposed convolutions from 4 x 4."""
    latents = keras.Input((shape.latent_dim,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    if shape.has_transition:
        x = concatenated(latents, labels, shape.num_classes, has_transition=True)
    else:
        x = CONDITIONINGS[shape.conditioning](latents, labels, shape.num_classes)
    enlarge = UPSAMPLINGS[shape.upsampling]
    innermost, *outer = _hidden_resolutions(shape)
    filters = scaled_filters(_FILTERS[innermost], shape.width)
    x = LeakyReLU(0.2)(layers.Dense(innermost * innermost * filters, name="dense")(x))
    x = layers.Reshape((innermost, innermost, filters))(x)
    for resolution in outer:
        x = enlarge(x, scaled_filters(_FILTERS[resolution], shape.width), size=_SIZE, name=f"up_{resolution}")
        x = LeakyReLU(0.2)(batch_normalization(f"norm_{resolution}")(x))
    images = enlarge(x, 3, size=_SIZE, activation="tanh", name=f"up_{shape.image_size}")
    return keras.Model([latents, labels], images, name="generator")


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
