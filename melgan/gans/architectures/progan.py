"""The networks of progressive growing (PGGAN) at 32, 64, 128 and 256 px, at every level from 4 px on.

Karras et al. 2018, table 2 and appendix A.1, and the authors' code
(github.com/tkarras/progressive_growing_of_gans): the filters of width 1 are the published ones. The last layer of the
generator is linear, as published; images may leave [-1, 1].

The class enters otherwise than there: the generator takes an embedding as long as the latents beside them (there a
one-hot label), and the discriminator has a projection head (Miyato and Koyama 2018, eq. 3), where theirs guesses the
label (AC-GAN), which needs a loss of its own and favours images that are easily told apart.

With boxes these are the networks of CPGGAN, see `cpggan.py`.
"""

from collections.abc import Sequence

import keras
from keras import layers

from melgan.gans.architectures.filters import scaled_filters
from melgan.gans.architectures.networks import Discriminator, Level, Networks, NetworkShape, require_image_size
from melgan.gans.boxes import require_room_for_choice
from melgan.gans.fading import INNERMOST
from melgan.layers.box_map import BoxMap
from melgan.layers.box_table import BoxTable
from melgan.layers.equalised import HE_GAIN, EqualisedConv2D, EqualisedDense, EqualisedEmbedding
from melgan.layers.fade_in import FadeIn
from melgan.layers.leaky_relu import LeakyReLU
from melgan.layers.minibatch_stddev import MinibatchStddev
from melgan.layers.pixel_norm import PixelNorm
from melgan.layers.projection import projection_head

# Filters at each resolution, the same in both networks; a level is a place in this order.
_FILTERS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64}
_FEATURES = 512


def build(shape: NetworkShape, *, boxes: bool = False) -> Networks:
    """Returns the networks and their levels.

    Arguments:
      shape: of the networks.
      boxes: whether a map of boxes enters both networks at every resolution; the discriminator has it as the fourth
        channel of the images, the generator makes it of the boxes that the first number of the latents chooses.

    Raises:
      ConfigError: for an image size that is not 32, 64, 128 or 256, or latents too short for boxes.
    """
    require_image_size(shape.image_size, "progan")
    box_table = BoxTable(shape.num_classes, name="boxes") if boxes else None
    generator, *generators = _generators(shape, box_table)
    trunk, *trunks = _trunks(shape, boxes)
    head = _head(shape)
    levels = [Level(draw, Discriminator(see, head)) for draw, see in zip(generators, trunks, strict=True)]
    return Networks(generator, Discriminator(trunk, head), encoder=None, levels=tuple(levels), box_table=box_table)


def _generators(shape: NetworkShape, box_table: BoxTable | None) -> list[keras.Model]:
    """Returns the whole generator, which is right at any degree of growth, then a model for each level."""
    latents = keras.Input((shape.latent_dim,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    seen, box_map = latents, None
    if box_table is not None:
        require_room_for_choice(shape.latent_dim)
        seen = latents[:, 1:]
        box_map = BoxMap(shape.image_size, name="map")(box_table(latents, labels))
    x = _innermost_features(seen, labels, box_map, shape)
    smaller = whole = None
    levels = []
    for level, resolution in enumerate(_resolutions(shape)):
        x = _up_block(x, box_map, _filters(resolution, shape), f"up_{resolution}") if level else x
        at_level = image = EqualisedConv2D(3, 1, gain=1.0, name=f"to_images_{resolution}")(x)
        if level:
            fade = FadeIn(level, name=f"fade_{resolution}")
            at_level = fade([layers.UpSampling2D()(smaller), image])
        whole = fade([layers.UpSampling2D()(whole), image]) if level else image
        levels.append(layers.UpSampling2D(shape.image_size // resolution)(at_level))
        smaller = image
    return _models([latents, labels], [whole, *levels], "generator")


def _innermost_features(
    latents: keras.KerasTensor, labels: keras.KerasTensor, box_map: keras.KerasTensor | None, shape: NetworkShape
) -> keras.KerasTensor:
    """Returns features `[N, 4, 4, C]`."""
    embedded = layers.Embedding(
        shape.num_classes,
        latents.shape[-1],
        embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0),
        name="embedding",
    )(labels)
    x = PixelNorm(name="latents_norm")(layers.Concatenate(name="labelled_latents")([latents, embedded]))
    filters = _filters(INNERMOST, shape)
    # A quarter of the usual gain, as published.
    x = EqualisedDense(INNERMOST * INNERMOST * filters, gain=HE_GAIN / 4, name="dense")(x)
    x = layers.Reshape((INNERMOST, INNERMOST, filters))(x)
    x = PixelNorm(name="dense_norm")(LeakyReLU(0.2)(x))
    return _normalised_convolution(_with_map(x, box_map), filters, "innermost")


def _up_block(
    inputs: keras.KerasTensor, box_map: keras.KerasTensor | None, filters: int, name: str
) -> keras.KerasTensor:
    """Returns features `[N, 2H, 2W, filters]` for inputs `[N, H, W, C]`."""
    x = _with_map(layers.UpSampling2D()(inputs), box_map)
    x = _normalised_convolution(x, filters, f"{name}_1")
    return _normalised_convolution(x, filters, f"{name}_2")


def _normalised_convolution(inputs: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    return PixelNorm(name=f"{name}_norm")(LeakyReLU(0.2)(EqualisedConv2D(filters, 3, name=name)(inputs)))


def _with_map(inputs: keras.KerasTensor, box_map: keras.KerasTensor | None) -> keras.KerasTensor:
    """Returns features `[N, H, W, C + 1]`, with the map of their resolution beside them; without a map, as they are."""
    if box_map is None:
        return inputs
    return layers.Concatenate()([inputs, layers.AveragePooling2D(box_map.shape[1] // inputs.shape[1])(box_map)])


def _trunks(shape: NetworkShape, boxes: bool) -> list[keras.Model]:
    """Returns the whole trunk, then a model for each level."""
    shown = keras.Input((shape.image_size, shape.image_size, 4 if boxes else 3), name="images")
    images, box_map = shown, None
    if boxes:
        # A gradient penalty counts the pixels of images only.
        images, box_map = shown[..., :3], keras.ops.stop_gradient(shown[..., 3:])
    parts = _TrunkLayers(shape)
    top = len(_resolutions(shape)) - 1
    whole = parts.features(images, box_map, top, fading=range(1, top + 1))
    levels = [
        parts.features(layers.AveragePooling2D(shape.image_size // resolution)(images), box_map, level, fading=[level])
        for level, resolution in enumerate(_resolutions(shape))
    ]
    return _models(shown, [whole, *levels], "trunk")


class _TrunkLayers:
    """The layers of the trunk, of which it is made anew for every level."""

    def __init__(self, shape: NetworkShape) -> None:
        resolutions = _resolutions(shape)
        filters = [_filters(resolution, shape) for resolution in resolutions]
        self._from_images = [
            _convolution(filters[level], 1, f"from_images_{resolution}") for level, resolution in enumerate(resolutions)
        ]
        self._fades = [FadeIn(level, name=f"fade_{resolution}") for level, resolution in enumerate(resolutions)]
        self._blocks = [
            [
                *_convolution(filters[level], 3, f"down_{resolution}_1"),
                *_convolution(filters[max(level - 1, 0)], 3, f"down_{resolution}_2"),
                layers.AveragePooling2D(2),
            ]
            for level, resolution in enumerate(resolutions)
        ]
        self._minibatch = MinibatchStddev(name="minibatch_stddev")
        self._innermost = [
            *_convolution(filters[0], 3, "innermost"),
            layers.Flatten(),
            EqualisedDense(scaled_filters(_FEATURES, shape.width), name="features"),
            LeakyReLU(0.2),
        ]

    def features(
        self, images: keras.KerasTensor, box_map: keras.KerasTensor | None, level: int, *, fading: Sequence[int]
    ) -> keras.KerasTensor:
        """Returns features `[N, C]` of images in the resolution of a level.

        Arguments:
          images: `[N, H, W, 3]`.
          box_map: `[N, image_size, image_size, 1]`, of their boxes, where these enter.
          level: of their resolution.
          fading: levels, this one or further in, whose features are mixed with features of smaller images.
        """
        x = _through(self._from_images[level], images)
        for inner in range(level, 0, -1):
            x = _through(self._blocks[inner], _with_map(x, box_map))
            if inner in fading:
                images = layers.AveragePooling2D(2)(images)
                x = self._fades[inner]([_through(self._from_images[inner - 1], images), x])
        return _through(self._innermost, _with_map(self._minibatch(x), box_map))


def _head(shape: NetworkShape) -> keras.Model:
    num_features = scaled_filters(_FEATURES, shape.width)
    embedding = EqualisedEmbedding(shape.num_classes, num_features, name="embedding")
    return projection_head(num_features, embedding, EqualisedDense(1, gain=1.0, name="logit"))


def _models(inputs: object, outputs: Sequence[keras.KerasTensor], name: str) -> list[keras.Model]:
    """Returns a model for each output: the whole network, by its name, and one for each level."""
    names = [name, *(f"{name}_{level}" for level in range(len(outputs) - 1))]
    return [keras.Model(inputs, output, name=name) for output, name in zip(outputs, names, strict=True)]


def _convolution(filters: int, size: int, name: str) -> list[keras.layers.Layer]:
    return [EqualisedConv2D(filters, size, name=name), LeakyReLU(0.2)]


def _through(parts: Sequence[keras.layers.Layer], x: keras.KerasTensor) -> keras.KerasTensor:
    for part in parts:
        x = part(x)
    return x


def _resolutions(shape: NetworkShape) -> list[int]:
    return [resolution for resolution in _FILTERS if resolution <= shape.image_size]


def _filters(resolution: int, shape: NetworkShape) -> int:
    return scaled_filters(_FILTERS[resolution], shape.width)
