"""The networks of BAGAN at 32, 64, 128 and 256 px: an autoencoder, and the GAN that begins as its two halves.

Mariani et al. 2018, and the authors' code (github.com/IBM/BAGAN), whose filters, kernels and dropout are
these at width 1; there, too, convolutions go down to 8 x 8, and more of them for larger images. The generator is the
decoder behind one Gaussian a class over the encoder's latents; the discriminator is the encoder's convolutions with a
softmax over the classes and one more, "fake".
"""

import keras
from keras import layers

from melgan.gans.architectures.filters import scaled_filters
from melgan.gans.architectures.networks import Discriminator, Networks, NetworkShape, require_image_size
from melgan.layers.class_gaussians import ClassGaussians
from melgan.layers.class_softmax import ClassLogProbabilities
from melgan.layers.dropout import Dropout
from melgan.layers.leaky_relu import LeakyReLU

_INNERMOST = 8
_HIDDEN_UNITS, _INNERMOST_FILTERS = 1024, 128  # of the decoder
_UP_FILTERS, _LAST_UP_FILTERS = 256, 128
_FIRST_DOWN_FILTERS = ((32, 64), (128, 256))  # of the two convolutions at 1/2 and 1/4 of the side
_DOWN_FILTERS = (256, 256)
_SLOPE, _DROPOUT = 0.3, 0.3


def build(shape: NetworkShape) -> Networks:
    """Returns the networks.

    Raises:
      ConfigError: for an image size that is not 32, 64, 128 or 256.
    """
    require_image_size(shape.image_size, "bagan")
    decoder, gaussians = _decoder(shape), ClassGaussians(shape.num_classes, name="class_gaussians")
    latents = keras.Input((shape.latent_dim,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    generator = keras.Model([latents, labels], decoder(gaussians(latents, labels)), name="generator")
    encoder_trunk, trunk = _trunk(shape), _trunk(shape)
    return Networks(
        generator,
        Discriminator(trunk, _head(trunk.output_shape[-1], shape.num_classes)),
        encoder=_encoder(encoder_trunk, shape.latent_dim),
        decoder=decoder,
        encoder_trunk=encoder_trunk,
        class_gaussians=gaussians,
    )


def _decoder(shape: NetworkShape) -> keras.Model:
    """Two dense layers, then enlargements by two, each before a convolution. Nothing has a bias or is normalised."""
    latents = keras.Input((shape.latent_dim,), name="latents")
    filters = scaled_filters(_INNERMOST_FILTERS, shape.width)
    x = layers.Dense(scaled_filters(_HIDDEN_UNITS, shape.width), "relu", use_bias=False, name="hidden")(latents)
    x = layers.Dense(_INNERMOST * _INNERMOST * filters, "relu", use_bias=False, name="dense")(x)
    x = layers.Reshape((_INNERMOST, _INNERMOST, filters))(x)
    resolution = _INNERMOST
    while resolution < shape.image_size:
        resolution *= 2
        filters = _UP_FILTERS if resolution < shape.image_size else _LAST_UP_FILTERS
        x = _convolution(scaled_filters(filters, shape.width), 5, "relu", f"up_{resolution}")(layers.UpSampling2D()(x))
    return keras.Model(latents, _convolution(3, 2, "tanh", "images")(x), name="decoder")


def _trunk(shape: NetworkShape) -> keras.Model:
    """Pairs of convolutions, of which the first halves the side, down to 8 x 8, flattened; dropout after each.

    Its inputs are images, and noise for each dropout.
    """
    images = keras.Input((shape.image_size, shape.image_size, 3), name="images")
    x, noises, resolution = images, [], shape.image_size
    first = iter(_FIRST_DOWN_FILTERS)
    while resolution > _INNERMOST:
        resolution //= 2
        for strides, filters in zip((2, 1), next(first, _DOWN_FILTERS), strict=True):
            name = f"down_{resolution}_{strides}"
            filters = scaled_filters(filters, shape.width)
            x = LeakyReLU(_SLOPE)(layers.Conv2D(filters, 3, strides=strides, padding="same", name=name)(x))
            noises.append(keras.Input(x.shape[1:], name=f"noise_{resolution}_{strides}"))
            x = Dropout(_DROPOUT)(x, noises[-1])
    return keras.Model([images, *noises], layers.Flatten()(x), name="trunk")


def _encoder(trunk: keras.Model, latent_dim: int) -> keras.Model:
    """The autoencoder's encoder: images to latents, linear in the features."""
    return keras.Model(trunk.inputs, layers.Dense(latent_dim, name="latents")(trunk.output), name="encoder")


def _head(num_features: int, num_classes: int) -> keras.Model:
    """Features and labels to log-probabilities; the label after the last class is "fake"."""
    features = keras.Input((num_features,), name="features")
    labels = keras.Input((), dtype="int32", name="labels")
    logits = ClassLogProbabilities(num_classes, name="log_probabilities")(features, labels)
    return keras.Model([features, labels], logits, name="head")


def _convolution(filters: int, size: int, activation: str, name: str) -> layers.Conv2D:
    return layers.Conv2D(
        filters,
        size,
        padding="same",
        activation=activation,
        use_bias=False,
        kernel_initializer="glorot_normal",
        name=name,
    )
