"""The sampler of a translator of any method."""

from collections.abc import Collection, Sequence

import keras

from melgan.sampling import Sampler
from melgan.sources import Sources
from melgan.translation.config import TranslatorConfig
from melgan.translation.mask_sampler import MaskSampler
from melgan.translation.sampler import TranslationSampler
from melgan.translation.translators import outlined_by, translator_of


def make_sampler(
    config: TranslatorConfig,
    generator: keras.Model,
    sources: Sources,
    classes: Sequence[str],
    *,
    target: int,
    seed: int,
    edits: Collection[str] = (),
    edit_strength: float = 1.0,
) -> Sampler:
    """Returns what draws the images of a translator; for what it raises see the samplers.

    Arguments:
      config: resolved, with which the generator was built.
      generator: see `translators.build_generator`.
      sources: real images that others are made from.
      classes: names of the classes.
      target: the class that is translated to; one that draws from masks draws all classes.
      seed: of everything random.
      edits, edit_strength: of the masks of a method that draws from them; see `MaskSampler`.
    """
    if not translator_of(config).is_paired:
        return TranslationSampler(generator, sources, classes, target, seed=seed)
    return MaskSampler(
        generator,
        sources,
        classes,
        seed=seed,
        edits=edits,
        edit_strength=edit_strength,
        skin_colour=config.skin_colour,
        outlined_by=outlined_by(config),
    )
