"""Kinds of generators of a study: which command trains them, and how they are drawn from; KINDS table."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melgan.gans.combinations import require_trainable
from melgan.gans.methods import METHODS
from melgan.translation.mask_edits import EDITS, TRANSPLANT
from melgan.translation.translators import TRANSLATORS, outlined_by
from pipelines.artefacts import adopted_run, generator_run, singan_run, translator_run
from pipelines.artefacts.adopted_run import AdoptSyntheticConfig
from pipelines.artefacts.generator_run import TrainGanConfig
from pipelines.artefacts.shards import Shards
from pipelines.artefacts.singan_run import TrainSinganConfig, seconds_per_step_of_images, steps_of_images
from pipelines.artefacts.speed import seconds_per_step
from pipelines.artefacts.translator_run import TrainTranslatorConfig
from pipelines.contract.workdir import is_completed
from pipelines.studying.planned_generator import PlannedGenerator
from pipelines.synthesis.adoption import list_adopted, require_same_images
from pipelines.training.translation_data import classes_of, open_fold
from tfrecords_tools.engines import LOCAL
from tfrecords_tools.foundation.errors import CommandError

_STEPS = 20  # of a short training, and more where several are one call
# Settings of what comes in over the images, and is there from the start of a short training.
_PHASES = ("phase_epochs", "conditional_from_epochs", "conditional_until_epochs")


@dataclass(frozen=True, kw_only=True)
class GeneratorKind:
    """The generators that one command trains.

    Attributes:
      methods: names of theirs.
      command: trains them.
      given_by: the setting of the study that settings of their training come from.
      serves_all_folds: whether one training serves all folds, as what draws an image has seen nothing but one other.
      trained_with: settings of their training that the study chooses, beside those that all have.
      drawn_with: settings of drawing images that the study chooses.
      folder_setting: the setting that names its folder.
      rejects_copies: whether others are drawn in place of suspected copies, by the config of the training. An image
        made from a real one lies near to it: how near is recorded, and none is drawn in its place.
      require_trainable: raises for a config of a training, and images of each class, that cannot be trained.
      require_images: raises for shards that a training has too few images in.
      shorter: settings of a training as short as tells how long a long one takes.
      steps: of a training, by series, from its config.
      seconds_per_step: of a run, by series.
    """

    methods: Collection[str]
    command: str
    given_by: str
    serves_all_folds: bool = False
    trained_with: Callable[[PlannedGenerator], dict[str, object]]
    drawn_with: Callable[[PlannedGenerator], dict[str, object]] = lambda generator: {}
    folder_setting: str = "workdir"
    rejects_copies: Callable[[Any], bool]
    require_trainable: Callable[[Any, Sequence[int]], None] = lambda training, class_counts: None
    require_images: Callable[[Any, Shards, PlannedGenerator], None] = lambda training, shards, generator: None
    shorter: Callable[[Any], dict[str, object]]
    steps: Callable[[Any, Shards, PlannedGenerator], dict[str, int]]
    seconds_per_step: Callable[[Path, str], float | None] = seconds_per_step


def kind_of(method: str) -> GeneratorKind:
    """Returns the kind of the generators of a method."""
    return next(kind for kind in KINDS if method in kind.methods)


def _require_trainable_gan(training: TrainGanConfig, class_counts: Sequence[int]) -> None:
    require_trainable(training, class_counts, training.total_steps)


def _without_fold(generator: PlannedGenerator) -> dict[str, object]:
    return {"num_folds": generator.num_folds, "fold": generator.fold}


def _method_without_fold(generator: PlannedGenerator) -> dict[str, object]:
    return {"method": generator.method, **_seed_and_size(generator), **_without_fold(generator)}


def _seed_and_size(generator: PlannedGenerator) -> dict[str, object]:
    return {"seed": generator.seed, "image_size": generator.image_size}


def _fewer_steps(training: TrainGanConfig | TrainTranslatorConfig) -> dict[str, object]:
    steps = min(training.total_steps, max(_STEPS, 2 * training.steps_per_call))
    return {"total_steps": steps, "log_every": max(1, steps // 2), "checkpoint_every": steps}


def _shorter_gan(training: TrainGanConfig) -> dict[str, object]:
    settings = {"eval_interval": 0, "autoencoder_epochs": min(1, training.autoencoder_epochs)}
    return _fewer_steps(training) | settings | {name: 0 for name in _PHASES if getattr(training, name)}


def _steps_of_gan(training: TrainGanConfig, shards: Shards, generator: PlannedGenerator) -> dict[str, int]:
    del shards
    of_a_pass = max(1, sum(generator.class_counts) // training.global_batch_size)
    return {"gan": training.total_steps, "autoencoder": training.autoencoder_epochs * of_a_pass}


def _steps_of_singan(training: TrainSinganConfig, shards: Shards, generator: PlannedGenerator) -> dict[str, int]:
    images = len(training.images) or shards.manifest.class_counts()[shards.classes.index(generator.label)]
    return {singan_run.METHOD: steps_of_images(training, min(images, training.most or images))}


def _is_drawn_from_outlines(generator: PlannedGenerator) -> bool:
    return TRANSLATORS[generator.method].is_paired


def _edits(generator: PlannedGenerator) -> dict[str, object]:
    return {"edits": ",".join((*EDITS, TRANSPLANT))} if _is_drawn_from_outlines(generator) else {}


def _require_sources(training: TrainTranslatorConfig, shards: Shards, generator: PlannedGenerator) -> None:
    """Raises CommandError if a translator has too few images to learn from, or to make others from."""
    data = open_fold(training, shards)
    sources, _ = classes_of(training, data)
    counts = data.images.counts_of(outlined_by(training))
    available = sum(counts[label] for label in sources)
    if generator.count > available and not _is_drawn_from_outlines(generator):
        raise CommandError(
            f"--ratios: {generator.count} images of {generator.label} are wanted of {generator.name}, which makes one "
            f"of each of its {available} sources; give smaller ratios"
        )


def _require_adopted(training: AdoptSyntheticConfig, shards: Shards, generator: PlannedGenerator) -> None:
    """Raises CommandError if there are fewer images than the largest ratio takes, or others than were adopted."""
    if is_completed(generator.gan):
        require_same_images(training, generator.gan)
    available = len(list_adopted(training, shards.classes))
    if generator.count > available:
        raise CommandError(
            f"--ratios: {generator.count} images of {generator.label} are wanted of {generator.name}, and "
            f"{training.images} has {available}; give smaller ratios"
        )


KINDS = (
    GeneratorKind(
        methods=METHODS,
        command=generator_run.COMMAND,
        given_by="gan_settings",
        trained_with=_method_without_fold,
        rejects_copies=lambda training: True,
        require_trainable=_require_trainable_gan,
        shorter=_shorter_gan,
        steps=_steps_of_gan,
    ),
    GeneratorKind(
        methods=TRANSLATORS,
        command=translator_run.COMMAND,
        given_by="translator_settings",
        trained_with=lambda generator: _method_without_fold(generator) | {"target_class": generator.label},
        drawn_with=_edits,
        rejects_copies=lambda training: False,
        require_images=_require_sources,
        shorter=_fewer_steps,
        steps=lambda training, shards, generator: {translator_run.SERIES: training.total_steps},
    ),
    GeneratorKind(
        methods=(singan_run.METHOD,),
        command=singan_run.COMMAND,
        given_by="singan_settings",
        serves_all_folds=True,
        trained_with=lambda generator: {"label": generator.label, **_seed_and_size(generator)},
        drawn_with=_without_fold,
        rejects_copies=lambda training: False,
        shorter=lambda training: {
            "most": 2,
            "steps_per_scale": min(_STEPS, training.steps_per_scale),
            "workers": 1,
            "engine": LOCAL,
            "scheduler": "",
            "scheduler_security": "",  # one after the other
        },
        steps=_steps_of_singan,
        seconds_per_step=lambda folder, series: seconds_per_step_of_images(folder),
    ),
    GeneratorKind(
        methods=(adopted_run.METHOD,),
        command=adopted_run.COMMAND,
        given_by="adopted_settings",
        trained_with=lambda generator: {"label": generator.label, **_without_fold(generator)},
        folder_setting="output",
        rejects_copies=lambda training: training.seen == adopted_run.TRAINING,
        require_images=_require_adopted,
        shorter=lambda training: {},
        steps=lambda training, shards, generator: {},
    ),
)
