"""The interface of every architecture."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import keras
import tensorflow as tf

from melgan.layers.box_table import BoxTable
from melgan.layers.class_gaussians import ClassGaussians
from melgan.layers.class_logits import MakeRows
from melgan.layers.dropout import apply_network
from melgan.training.randomness import Draws
from tfrecords_tools.foundation.settings import require

IMAGE_SIZES = (32, 64, 128, 256)
# Settings that some architectures have, of the same name in `NetworkShape`.
CHOICES = ("conditioning", "upsampling", "shared_until")


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """The shape of networks: sides in pixels, a factor on the published number of filters, and choices.

    Choices are the published ones by default, see `Architecture.choices`; up to `shared_until` pixels the generator
    knows no class. `auxiliary` is one of AUXILIARIES, whose head any discriminator can have, like one that knows no
    class. `has_transition`: the class comes into the generator little by little.
    """

    image_size: int
    num_classes: int
    latent_dim: int
    width: float = 1.0
    conditioning: str = "multiply"
    upsampling: str = "transposed"
    shared_until: int | None = None
    auxiliary: str = "none"
    has_transition: bool = False
    has_unconditional_head: bool = False


@dataclass(frozen=True)
class LowGenerator:
    """The layers of a generator that know no class, and what makes images of their features.

    `generator` is the whole, which maps [latents, labels] to images and these features `[N, S, S, F]`; `to_images` maps
    features to images `[N, S, S, 3]` in [-1, 1].
    """

    generator: keras.Model
    to_images: keras.Model


@dataclass(frozen=True)
class LowTrunk:
    """The layers of a trunk that follow its features `[N, S, S, F]`, and what makes such features of small images.

    `from_images` maps images `[N, S, S, 3]` to features; `trunk` maps these to those of the whole trunk.
    """

    from_images: keras.Model
    trunk: keras.Model

    @property
    def side(self) -> int:
        """S, the side of the images in pixels."""
        return self.from_images.input_shape[1]


@dataclass(frozen=True)
class Discriminator:
    """A conditional discriminator in two parts, so that one pass over an image can serve several labels.

    `trunk` maps images `[N, H, W, C]` in [-1, 1], with a map of boxes as the fourth channel where these are taken, to
    features; `head` maps [features, labels `[N]`] to logits `[N]`.
    `draws` are what a trunk with dropout drops features by; without them it drops none. `auxiliary`, where there is
    one, maps [features, all labels `[K]`] to logits of classes. `unconditional`, where there is one, maps [features,
    `[0]`] to logits that know no class; these features are of small images where there is a `low_trunk`.
    """

    trunk: keras.Model
    head: keras.Model
    draws: Draws | None = None
    auxiliary: keras.Model | None = None
    unconditional: keras.Model | None = None
    low_trunk: LowTrunk | None = None

    def with_dropout(self, draws: Draws) -> "Discriminator":
        """Returns the same discriminator with random numbers for its dropout, the same at every pass."""
        return replace(self, draws=draws)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns the logits `[N]` of images with their labels."""
        return self.logits(self.features(images), labels)

    def features(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the features `[N, F]` of images."""
        return apply_network(self.trunk, images, self.draws)

    def low_features(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the features `[N, F]` of images `[N, S, S, 3]`."""
        return self.low_trunk.trunk(self.low_trunk.from_images(images, training=True), training=True)

    def logits(self, features: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns the logits `[N]` of features with labels `[N]`, never in half precision."""
        return tf.cast(self.head([features, labels], training=True), keras.config.floatx())

    def class_logits(self, features: tf.Tensor, num_classes: int) -> tf.Tensor:
        """Returns the logits of features `[N, F]` by the auxiliary head, never in half precision."""
        logits = self.auxiliary([features, tf.range(num_classes)], training=True)
        return tf.cast(logits, keras.config.floatx())

    def unconditional_logits(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the logits `[N]` of features `[N, F]` whatever their class, never in half precision."""
        return tf.cast(self.unconditional([features, tf.range(1)], training=True)[:, 0], keras.config.floatx())

    @property
    def parts(self) -> dict[str, keras.Model]:
        """The networks that it consists of, by name."""
        low = None if self.low_trunk is None else self.low_trunk.from_images
        further = {"auxiliary": self.auxiliary, "unconditional": self.unconditional, "from_low_images": low}
        return {"trunk": self.trunk, "head": self.head} | {name: part for name, part in further.items() if part}

    @property
    def trainable_variables(self) -> list:
        """The weights of all parts."""
        return [variable for part in self.parts.values() for variable in part.trainable_variables]


@dataclass(frozen=True)
class Level:
    """Growing networks at one resolution: the same weights and sizes of images, but the work of that level."""

    generator: keras.Model
    discriminator: Discriminator

    @property
    def generator_variables(self) -> list:
        """The weights that a step of the generator changes."""
        return self.generator.trainable_variables


@dataclass(frozen=True)
class Networks:
    """A pair of networks.

    `generator` maps [latents `[N, latent_dim]`, labels `[N]`] to images `[N, H, W, 3]` in [-1, 1]. `encoder` maps
    images to latents; with it, the generator can be initialised as the decoder of an autoencoder. Some have none.
    `levels` belong to networks that grow (`fading.py`), from 4 px on; others have none.

    `decoder`, which shares its weights with the generator, maps the encoder's output to images; a supervised one maps
    [latents, labels]. `encoder_trunk` is the part of the encoder that the discriminator's trunk starts as, and
    `class_gaussians` the part of the generator that is fitted to the encoder's latents, where there are such.
    `box_table` is the part of a generator that chooses boxes, `low_generator` the one that knows no class.
    """

    generator: keras.Model
    discriminator: Discriminator
    encoder: keras.Model | None
    levels: tuple[Level, ...] = ()
    decoder: keras.Model | None = None
    encoder_trunk: keras.Model | None = None
    class_gaussians: ClassGaussians | None = None
    box_table: BoxTable | None = None
    low_generator: LowGenerator | None = None

    @property
    def generator_parts(self) -> dict[str, keras.Model]:
        """The networks that are trained as the generator, by name; they share no weights."""
        low = {} if self.low_generator is None else {"to_low_images": self.low_generator.to_images}
        return {"generator": self.generator} | low

    @property
    def generator_variables(self) -> list:
        """The weights that a step of the generator changes."""
        return [variable for part in self.generator_parts.values() for variable in part.trainable_variables]

    def with_heads(self, *, auxiliary: keras.Model | None, unconditional: keras.Model | None) -> "Networks":
        """Returns the same networks, whose discriminator has further heads, the same at all levels."""

        def with_them(discriminator: Discriminator) -> Discriminator:
            return replace(discriminator, auxiliary=auxiliary, unconditional=unconditional)

        levels = [replace(level, discriminator=with_them(level.discriminator)) for level in self.levels]
        return replace(self, discriminator=with_them(self.discriminator), levels=tuple(levels))


@dataclass(frozen=True)
class Architecture:
    """A way to build a pair of networks, and what it allows.

    `takes_penalty`: a gradient penalty makes sense, because an image has a gradient of its own, nearly if not quite.
    `has_encoder`: the networks can be initialised by an autoencoder.
    `grows`: they begin at 4 px and have `levels`.
    `reconstruction_error`: what the autoencoder makes less, a function of the differences between pixels.
    `has_fake_class`: logits are log-probabilities of a softmax over the classes and one more, for fakes.
    `takes_boxes`: the generator has a `BoxTable`, and the discriminator sees the map of an image's boxes beside it.
    `class_rows`: makes rows of weights, one a class, as the discriminator's are.
    `normalises_by_class`: the generator has conditional normalisation.
    `choices`: for each of `CHOICES` that there is, what can be chosen.
    """

    build: Callable[[NetworkShape], Networks]
    takes_penalty: bool = True
    has_encoder: bool = False
    grows: bool = False
    reconstruction_error: Callable[[tf.Tensor], tf.Tensor] = tf.abs
    has_fake_class: bool = False
    takes_boxes: bool = False
    class_rows: MakeRows = keras.layers.Embedding
    normalises_by_class: bool = False
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def require_image_size(image_size: int, architecture: str) -> None:
    """Raises ConfigError unless the networks come in this size."""
    sizes = ", ".join(map(str, IMAGE_SIZES))
    require(
        image_size in IMAGE_SIZES,
        "image_size",
        image_size,
        f"one of {sizes}, which the architecture {architecture} has",
    )
