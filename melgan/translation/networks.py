"""The networks of a translator, by direction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import keras
import tensorflow as tf

from melgan.layers.dropout import apply_network
from melgan.training.randomness import Draws


class Made(NamedTuple):
    """What a generator makes of its inputs, never in half precision but for the taps.

    `images` `[N, H, W, 3]` in [-1, 1]; `taps`, features of the inputs `[N, h, w, C]` at several depths, the inputs
    themselves first; `parsing`, logits of the lesion's mask in the inputs `[N, H, W, 1]`. None: it has no such part.
    """

    images: tf.Tensor
    taps: list[tf.Tensor] | None
    parsing: tf.Tensor | None


@dataclass(frozen=True)
class Generator:
    """A generator of one direction, as models that share their layers.

    `translate` maps inputs `[N, H, W, C]` in [-1, 1], and noise for its dropout if it has any, to images
    `[N, H, W, 3]` in [-1, 1]: that is what is averaged, kept and used later. `whole` maps the same inputs to all that
    there is, by the names of `Made`, and `tapped` to the taps alone. `tied` are pairs of weights of the decoders of
    images and masks, which shall be alike.
    """

    translate: keras.Model
    whole: keras.Model
    tapped: keras.Model | None = None
    tied: tuple[tuple[keras.Variable, keras.Variable], ...] = ()

    def make(self, inputs: tf.Tensor, draws: Draws) -> Made:
        """Returns all that the generator makes of inputs `[N, H, W, C]`, in training."""
        made = apply_network(self.whole, inputs, draws)
        parsing = made.get("parsing")
        return Made(in_single(made["images"]), made.get("taps"), None if parsing is None else in_single(parsing))


@dataclass(frozen=True)
class Direction:
    """The networks of one direction: a generator, and a discriminator of what it makes.

    `discriminator` maps images `[N, H, W, 3]` in [-1, 1], after the condition if it sees one, to logits `[N, h, w, 1]`
    of patches. `projector` maps patches of every tap `[N, S, C]` to points `[N, S, units]`, for the term `nce`.
    """

    generator: Generator
    discriminator: keras.Model
    projector: keras.Model | None = None

    @property
    def generator_parts(self) -> Mapping[str, keras.Model]:
        """What is trained with the generator, by name."""
        return {"generator": self.generator.whole} | ({"projector": self.projector} if self.projector else {})


def in_single(values: tf.Tensor) -> tf.Tensor:
    """Returns values of any float type in that which Keras is set to."""
    return tf.cast(values, keras.config.floatx())
