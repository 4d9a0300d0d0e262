"""Conditional DCGAN at 32, 64, 128 and 256 px; for gradient penalties, with layer normalisation.

Radford et al. 2016, figure 1 and section 3: at 64 px and width 1 the filters are the published ones; other sizes add
or drop the outermost resolution. The class enters as in Mirza and Osindero 2014, section 4: the generator takes it
beside the latents, and the discriminator's last hidden layer is a joint one of image and class.
"""

from collections.abc import Callable

import keras
from keras import layers

from melgan.gans.architectures.enlarging import UPSAMPLINGS
from melgan.gans.architectures.filters import scaled_filters
from melgan.gans.architectures.networks import Discriminator, Networks, NetworkShape, require_image_size
from melgan.layers.leaky_relu import LeakyReLU
from melgan.layers.normalization import batch_normalization

# Filters at each resolution, from the innermost outwards; the same in both networks.
_FILTERS = {4: 1024, 8: 512, 16: 256, 32: 128, 64: 64, 128: 32}
_SIZE = 5  # of kernels
_LABEL_UNITS = 64
_JOINT_UNITS = 256

Normalization = Callable[[str], keras.layers.Layer]


def build(shape: NetworkShape) -> Networks:
    """Returns the networks, with batch normalisation in both: the discriminator sees a batch, not an image alone.

    Raises:
      ConfigError: for an image size that is not 32, 64, 128 or 256.
    """
    return _build(shape, batch_normalization)


def build_layer_norm(shape: NetworkShape) -> Networks:
    """Returns the networks, with layer normalisation in the discriminator. Gulrajani et al. 2017, section 4.

    Raises:
      ConfigError: for an image size that is not 32, 64, 128 or 256.
    """
    return _build(shape, lambda name: layers.GroupNormalization(groups=1, name=name))


def _build(shape: NetworkShape, normalization: Normalization) -> Networks:
    require_image_size(shape.image_size, "dcgan")
    return Networks(_generator(shape), Discriminator(_trunk(shape, normalization), _head(shape)), encoder=None)


def _generator(shape: NetworkShape) -> keras.Model:
    latents = keras.Input((shape.latent_dim,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    embedded = _embedding(shape)(labels)
    x = layers.Concatenate(name="labelled_latents")([latents, embedded])
    enlarge = UPSAMPLINGS[shape.upsampling]
    innermost, *outer = _hidden_resolutions(shape)
    filters = scaled_filters(_FILTERS[innermost], shape.width)
    x = layers.Dense(innermost * innermost * filters, kernel_initializer=_initializer(), name="dense")(x)
    x = layers.Reshape((innermost, innermost, filters))(x)
    x = layers.ReLU()(batch_normalization(f"norm_{innermost}")(x))
    for resolution in outer:
        x = enlarge(x, scaled_filters(_FILTERS[resolution], shape.width), size=_SIZE, name=f"up_{resolution}")
        x = layers.ReLU()(batch_normalization(f"norm_{resolution}")(x))
    images = enlarge(x, 3, size=_SIZE, activation="tanh", name=f"up_{shape.image_size}")
    return keras.Model([latents, labels], images, name="generator")


def _trunk(shape: NetworkShape, normalization: Normalization) -> keras.Model:
    """Strided convolutions down to 4 x 4, flattened; normalised but for the first."""
    images = keras.Input((shape.image_size, shape.image_size, 3), name="images")
    x = images
    outermost, *inner = reversed(_hidden_resolutions(shape))
    x = LeakyReLU(0.2)(_down(shape, outermost)(x))
    for resolution in inner:
        x = normalization(f"norm_{resolution}")(_down(shape, resolution)(x))
        x = LeakyReLU(0.2)(x)
    return keras.Model(images, layers.Flatten()(x), name="trunk")


def _head(shape: NetworkShape) -> keras.Model:
    """Features and label embedding, a joint hidden layer, a logit."""
    features = keras.Input((4 * 4 * scaled_filters(_FILTERS[4], shape.width),), name="features")
    labels = keras.Input((), dtype="int32", name="labels")
    embedded = _embedding(shape)(labels)
    units = scaled_filters(_JOINT_UNITS, shape.width)
    joint = layers.Dense(units, kernel_initializer=_initializer(), name="joint")(
        layers.Concatenate()([features, embedded])
    )
    logits = layers.Reshape(())(layers.Dense(1, kernel_initializer=_initializer(), name="logit")(LeakyReLU(0.2)(joint)))
    return keras.Model([features, labels], logits, name="head")


def _embedding(shape: NetworkShape) -> layers.Embedding:
    """Labels as vectors of the size of latents, so that the class counts from the start."""
    return layers.Embedding(
        shape.num_classes,
        _LABEL_UNITS,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0),
        name="embedding",
    )


def _hidden_resolutions(shape: NetworkShape) -> list[int]:
    return [resolution for resolution in _FILTERS if resolution < shape.image_size]


def _down(shape: NetworkShape, resolution: int) -> layers.Conv2D:
    filters = scaled_filters(_FILTERS[resolution], shape.width)
    return layers.Conv2D(
        filters, _SIZE, strides=2, padding="same", kernel_initializer=_initializer(), name=f"down_{resolution}"
    )


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)
