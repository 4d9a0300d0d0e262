"""Named translators: each is a choice of networks, of adversarial losses and of terms with their weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import keras

from melgan.translation import auggan, patch_discriminator, resnet
from melgan.translation.conditions import condition_channels
from melgan.translation.config import TranslatorConfig
from melgan.translation.networks import Direction, Generator
from melgan.translation.patch_nce import build_projector
from melgan.translation.unet import build_unet
from tfrecords_tools.foundation.errors import ConfigError, look_up
from tfrecords_tools.foundation.metadata import MASKS

_IMAGE_CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class Translator:
    """A method.

    Attributes:
      build: returns its generator for a resolved config and the channels of the inputs.
      objective: one of OBJECTIVES.
      weights: of the terms that it can have beside the adversarial one; 0: it can have it, as published it has not.
      both_ways: whether a second pair of networks leads back from the target.
      is_paired: whether it learns from images with maps of their conditions, which the discriminator sees as well,
        instead of from images of two classes.
      mirrors, contrasts_kept: see `Passes`.
    """

    build: Callable[[TranslatorConfig, int], Generator]
    objective: str = "least_squares"
    weights: Mapping[str, float]
    both_ways: bool = False
    is_paired: bool = False
    mirrors: bool = False
    contrasts_kept: bool = False


def _unet(config: TranslatorConfig, in_channels: int) -> Generator:
    translate = build_unet(config.image_size, in_channels, width=config.width, dropout=config.dropout)
    return Generator(translate, keras.Model(translate.inputs, {"images": translate.output}, name="whole_generator"))


# The weight `outside` is ours. Of all, the generators are averaged and fakes are shown to the discriminator as they are
# made: a history of them, which CycleGAN has, is a state of every host, and CUT does without.
TRANSLATORS: dict[str, Translator] = {
    # Zhu et al. 2017, "Unpaired image-to-image translation using cycle-consistent adversarial networks", section 4 and
    # 7; the identity as the authors' code has it by default. https://arxiv.org/abs/1703.10593
    "cyclegan": Translator(
        build=resnet.build, both_ways=True, weights={"cycle": 10.0, "identity": 5.0, "outside": 0.0}
    ),
    # Huang et al. 2018, "AugGAN: Cross domain adaptation with GAN-based data augmentation", section 3, without an
    # identity. Of published codes, which differ, the weights are those of the journal version (Lin et al. 2020).
    # https://doi.org/10.1007/978-3-030-01240-3_44
    "auggan": Translator(
        build=auggan.build,
        both_ways=True,
        weights={"cycle": 10.0, "identity": 0.0, "parsing": 0.2, "tying": 0.02, "outside": 0.0},
    ),
    # Park et al. 2020, "Contrastive learning for unpaired image-to-image translation", section 3.
    # https://arxiv.org/abs/2007.15651
    "cut": Translator(build=resnet.build, contrasts_kept=True, weights={"identity": 0.0, "nce": 1.0, "outside": 0.0}),
    # The same, section 4 and the authors' code: one direction, no identity, mirrored inputs.
    "fastcut": Translator(build=resnet.build, mirrors=True, weights={"identity": 0.0, "nce": 10.0, "outside": 0.0}),
    # Isola et al. 2017, "Image-to-image translation with conditional adversarial networks", section 3, from masks as
    # Shin et al. 2018. https://arxiv.org/abs/1611.07004 1807.10225
    "pix2pix": Translator(build=_unet, objective="sigmoid_cross_entropy", is_paired=True, weights={"l1": 100.0}),
}


def resolve(config: TranslatorConfig) -> TranslatorConfig:
    """Returns the config with the weights that are None filled in from its method.

    Those of terms that the method cannot have stay None.

    Raises:
      ConfigError: for an unknown method.
    """
    weights = translator_of(config).weights
    given = {f"{term}_weight": weight for term, weight in weights.items()}
    return replace(config, **{name: weight for name, weight in given.items() if getattr(config, name) is None})


def translator_of(config: TranslatorConfig) -> Translator:
    """Returns the method of a config.

    Raises:
      ConfigError: for an unknown one.
    """
    return look_up(TRANSLATORS, config.method, "method")


def weights_of(config: TranslatorConfig) -> dict[str, float]:
    """Returns the weights of the terms that a resolved config has, by name, the adversarial one first."""
    weights = {term: getattr(config, f"{term}_weight") for term in translator_of(config).weights}
    return {"adversarial": 1.0} | {term: weight for term, weight in weights.items() if weight}


def outlined_by(config: TranslatorConfig) -> str:
    """Returns which outlines of lesions a resolved config learns from: masks, boxes, or empty for none."""
    if translator_of(config).is_paired:
        return config.condition
    return "" if weights_of(config).keys().isdisjoint({"parsing", "outside"}) else MASKS


def require_possible(config: TranslatorConfig) -> None:
    """Raises ConfigError for a resolved config with terms or networks that its method cannot have."""
    weights = translator_of(config).weights
    if config.condition != MASKS and not translator_of(config).is_paired:
        raise ConfigError(
            f"condition is {config.condition}, but {config.method} translates images; leave it away, or use "
            f"--method={' or '.join(name for name, translator in TRANSLATORS.items() if translator.is_paired)}"
        )
    if config.residual and translator_of(config).is_paired:
        raise ConfigError(
            f"residual is {config.residual}, but {config.method} makes images of conditions, to which nothing can be "
            "added; give --noresidual"
        )
    terms = {name.removesuffix("_weight") for name in vars(config) if name.endswith("_weight")}
    for term in sorted(terms - weights.keys()):
        value = getattr(config, f"{term}_weight")
        if value:
            others = [name for name, translator in TRANSLATORS.items() if term in translator.weights]
            raise ConfigError(
                f"{term}_weight is {value}, but the method {config.method} has no place for this term; leave it away, "
                f"or use --method={' or '.join(others)}"
            )
    if config.tying_weight and not config.parsing_weight:
        raise ConfigError(
            f"tying_weight is {config.tying_weight}, but without parsing there is no second decoder; "
            "give --tying_weight=0"
        )


def build_networks(config: TranslatorConfig, num_classes: int) -> tuple[Direction, ...]:
    """Returns the networks of a resolved config: those from the source to the target, and those back if there are any.

    Arguments:
      config: resolved.
      num_classes: of which conditions tell; of no matter to translators of images.
    """
    translator = translator_of(config)
    return tuple(_build_direction(config, translator, num_classes) for _ in range(1 + translator.both_ways))


def build_generator(config: TranslatorConfig, num_classes: int) -> keras.Model:
    """Returns an untrained generator from the source to the target, for the weights of `TranslationTrainer`'s average.

    It maps inputs `[N, H, W, C]` in [-1, 1], images or maps of conditions, and noise if it has dropout (see
    `melgan.layers.dropout.apply_network`) to images `[N, H, W, 3]` in [-1, 1].

    Arguments:
      config: resolved.
      num_classes: see `build_networks`.
    """
    translator = translator_of(config)
    return translator.build(config, _in_channels(translator, num_classes)).translate


def _build_direction(config: TranslatorConfig, translator: Translator, num_classes: int) -> Direction:
    in_channels = _in_channels(translator, num_classes)
    generator = translator.build(config, in_channels)
    seen = _IMAGE_CHANNELS + (in_channels if translator.is_paired else 0)
    return Direction(
        generator,
        patch_discriminator.build(config.image_size, seen, config.width),
        build_projector(generator.tapped, config.width) if config.nce_weight else None,
    )


def _in_channels(translator: Translator, num_classes: int) -> int:
    return condition_channels(num_classes) if translator.is_paired else _IMAGE_CHANNELS
