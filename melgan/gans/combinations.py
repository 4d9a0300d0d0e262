"""Settings of a GAN that cannot work together are refused, with a reason, before anything is built."""

from collections.abc import Sequence

from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.architectures.networks import CHOICES, Architecture, require_image_size
from melgan.gans.augmentations import AUGMENTATIONS
from melgan.gans.auxiliaries import AUXILIARIES
from melgan.gans.config import GanConfig
from melgan.gans.growth import require_grown
from melgan.gans.labels import LABEL_SAMPLINGS
from melgan.gans.objectives import OBJECTIVES, Objective
from melgan.gans.penalties import PENALTIES
from melgan.gans.regularisers import REGULARISERS
from melgan.gans.transition import require_transition_that_ends
from tfrecords_tools.foundation.errors import ConfigError, look_up


def require_trainable(config: GanConfig, class_counts: Sequence[int], total_steps: int) -> None:
    """Refuses settings that cannot work together, and trainings that end before all of their phases have begun.

    For the arguments and what it raises see `require_possible`.
    """
    require_possible(config, class_counts)
    require_grown(config, class_counts, total_steps)
    require_transition_that_ends(config, class_counts, total_steps)


def require_possible(config: GanConfig, class_counts: Sequence[int]) -> None:
    """Raises ConfigError for settings that cannot work, alone or together.

    Arguments:
      config: resolved (`methods.resolve`).
      class_counts: real training images of each class `[num_classes]`.
    """
    architecture = look_up(ARCHITECTURES, config.architecture, "architecture")
    objective = look_up(OBJECTIVES, config.objective, "objective")
    look_up(PENALTIES, config.penalty, "penalty")
    look_up(REGULARISERS, config.regulariser, "regulariser")
    look_up(LABEL_SAMPLINGS, config.label_sampling, "label_sampling")
    _require_known_parts(config)
    require_image_size(config.image_size, config.architecture)
    _require_known_choices(config, architecture)
    if not sum(class_counts):
        raise ConfigError("the shards hold no training image")
    _require_place_for_wrong_labels(config, objective, len(class_counts))
    _require_place_for_auxiliary(config, objective, len(class_counts))
    _require_transition_that_fits(config, objective)
    _require_shared_layers_that_fit(config)
    _require_one_kind_of_logits(config, objective, architecture)
    _require_penalty_that_fits(config, objective, architecture)
    _require_burn_in(config)
    _require_regulariser_that_fits(config, objective, architecture)
    if architecture.takes_boxes and config.augmentation != "none":
        raise ConfigError(
            f"augmentation is {config.augmentation}, which moves images, but not the boxes that the architecture "
            f"{config.architecture} is told; give --augmentation=none"
        )
    if config.autoencoder_epochs and not architecture.has_encoder:
        raise ConfigError(
            f"autoencoder_epochs is {config.autoencoder_epochs}, but the architecture {config.architecture} has no "
            "encoder; give --autoencoder_epochs=0"
        )


def _require_known_parts(config: GanConfig) -> None:
    """Refuses a policy that names what the augmentation does not consist of."""
    known = look_up(AUGMENTATIONS, config.augmentation, "augmentation").parts
    others = [part for part in config.augmentation_policy if part not in known]
    if others and known:
        raise ConfigError(
            f"augmentation_policy has {', '.join(others)}; the augmentation {config.augmentation} consists of "
            f"{', '.join(known)}"
        )
    if others:
        raise ConfigError(
            f"augmentation_policy is {', '.join(others)}, but augmentation is {config.augmentation}; give "
            "--augmentation=diffaugment"
        )


def _require_known_choices(config: GanConfig, architecture: Architecture) -> None:
    """Refuses what an architecture does not let the user choose."""
    for name in CHOICES:
        value = getattr(config, name)
        if value is None or value in architecture.choices.get(name, ()):
            continue
        having = {other: entry.choices[name] for other, entry in ARCHITECTURES.items() if name in entry.choices}
        known = "; ".join(f"{other}: {', '.join(map(str, values))}" for other, values in having.items())
        raise ConfigError(
            f"{name} is {value!r}, which the architecture {config.architecture} does not have; leave it out, or choose "
            f"of those that there are ({known})"
        )


def _require_place_for_wrong_labels(config: GanConfig, objective: Objective, num_classes: int) -> None:
    if not config.wrong_labels:
        return
    if num_classes < 2:
        raise ConfigError(f"wrong_labels needs at least 2 classes; the shards have {num_classes}")
    if not objective.takes_wrong_labels:
        raise ConfigError(
            f"wrong_labels is on, but the objective {config.objective} has no place for them; give --nowrong_labels"
        )


def _require_place_for_auxiliary(config: GanConfig, objective: Objective, num_classes: int) -> None:
    if look_up(AUXILIARIES, config.auxiliary, "auxiliary") is None:
        return
    if num_classes < 2:
        raise ConfigError(
            f"auxiliary is {config.auxiliary}, which needs at least 2 classes; the shards have {num_classes}; give "
            "--auxiliary=none"
        )
    if objective.has_fake_class:
        raise ConfigError(
            f"auxiliary is {config.auxiliary}, but the objective {config.objective} names classes itself; give "
            "--auxiliary=none"
        )


def _require_transition_that_fits(config: GanConfig, objective: Objective) -> None:
    """Refuses a head without classes, or classes that come in little by little, where there is no place for them."""
    first, last = config.conditional_from_epochs, config.conditional_until_epochs
    if config.unconditional_weight and objective.has_fake_class:
        raise ConfigError(
            f"unconditional_weight is {config.unconditional_weight:g}, but the objective {config.objective} is one of "
            "classes; leave it out"
        )
    if last is None:
        if first is not None:
            raise ConfigError(f"conditional_from_epochs is {first:g}; give --conditional_until_epochs as well")
        return
    if (first or 0.0) > last:
        raise ConfigError(
            f"conditional_from_epochs is {first:g}; it must be at most conditional_until_epochs, which is {last:g}"
        )
    if config.conditioning != "concatenated":
        raise ConfigError(
            f"conditional_until_epochs is {last:g}, but the class enters the generator of {config.architecture} so "
            "that it cannot be left out; give --architecture=bagan_gp --conditioning=concatenated"
        )
    if not config.unconditional_weight:
        raise ConfigError(
            f"conditional_until_epochs is {last:g}, but nothing teaches the networks before; give "
            "--unconditional_weight=1"
        )


def _require_shared_layers_that_fit(config: GanConfig) -> None:
    """Refuses layers without a class that nothing teaches, or that leave none for the class."""
    side = config.shared_until
    if side is None:
        return
    if 4 * side > config.image_size:
        raise ConfigError(
            f"shared_until is {side}, which leaves no layer for the class in images of {config.image_size} px; give at "
            f"most {config.image_size // 4}"
        )
    if config.conditioning != "concatenated":
        raise ConfigError(
            f"shared_until is {side}, but the class does not stand beside the latents; give --conditioning=concatenated"
        )
    if not config.unconditional_weight:
        raise ConfigError(
            f"shared_until is {side}, but nothing teaches the layers without a class; give --unconditional_weight=1"
        )
    if config.conditional_until_epochs is not None:
        raise ConfigError(
            f"shared_until is {side}, and conditional_until_epochs {config.conditional_until_epochs:g}: classes come "
            "in either by layers or by steps; leave one of both out"
        )


def _require_one_kind_of_logits(config: GanConfig, objective: Objective, architecture: Architecture) -> None:
    """Refuses an objective and an architecture of which only one has a class for fakes."""
    if objective.has_fake_class == architecture.has_fake_class:
        return
    objectives, architectures = (
        ", ".join(name for name, entry in table.items() if entry.has_fake_class == objective.has_fake_class)
        for table in (OBJECTIVES, ARCHITECTURES)
    )
    raise ConfigError(
        f"the objective {config.objective} does not go with the architecture {config.architecture}, as only one of "
        f"them has a class for fakes; for {objectives}, choose one of the architectures {architectures}"
    )


def _require_penalty_that_fits(config: GanConfig, objective: Objective, architecture: Architecture) -> None:
    if objective.needs_penalty and not config.has_penalty:
        raise ConfigError(
            f"the objective {config.objective} needs a penalty: without one the discriminator lowers its loss without "
            "end; give --penalty=gradient_penalty --penalty_weight=10"
        )
    if config.has_penalty and not architecture.takes_penalty:
        others = ", ".join(
            name
            for name, other in ARCHITECTURES.items()
            if other.takes_penalty and other.has_fake_class == objective.has_fake_class
        )
        raise ConfigError(
            f"penalty is {config.penalty}, but the discriminator of {config.architecture} sees a batch together, so "
            f"no image has a gradient of its own; choose one of the architectures {others}, or --penalty=none"
        )
    if config.penalty_interval > 1 and not config.has_penalty:
        raise ConfigError(f"penalty_interval is {config.penalty_interval}, but there is no penalty; leave it at 1")


def _require_regulariser_that_fits(config: GanConfig, objective: Objective, architecture: Architecture) -> None:
    if config.regulariser == "lecam" and (objective.needs_real_logits or objective.has_fake_class):
        others = ", ".join(
            name for name, other in OBJECTIVES.items() if not (other.needs_real_logits or other.has_fake_class)
        )
        raise ConfigError(
            f"regulariser is lecam, which compares logits with earlier ones, but those of the objective "
            f"{config.objective} are no measure of a single image; choose one of the objectives {others}, or "
            "--regulariser=none"
        )
    if config.regulariser == "gsr" and not architecture.normalises_by_class:
        others = ", ".join(name for name, other in ARCHITECTURES.items() if other.normalises_by_class)
        raise ConfigError(
            f"regulariser is gsr, which holds small what a class adds to a normalisation, but the generator of "
            f"{config.architecture} has no conditional normalisation; choose one of the architectures {others}, or "
            "--regulariser=none"
        )


def _require_burn_in(config: GanConfig) -> None:
    """Refuses settings for the time after a burn-in that there is not."""
    for name in ("final_learning_rate", "final_beta_2", "final_penalty_weight"):
        value = getattr(config, name)
        if value is not None and config.burn_in_epochs is None:
            raise ConfigError(
                f"{name} is {value}, but there is no burn-in after which to have it; give --burn_in_epochs"
            )
