"""Kinds of generators of a study: which command trains them, and how they are drawn from; KINDS table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from melgan.gans.combinations import require_trainable
from melgan.gans.methods import METHODS
from melgan.translation.mask_edits import EDITS, TRANSPLANT
from melgan.translation.translators import TRANSLATORS, outlined_by
from pipelines.artefacts import generator_run, translator_run
from pipelines.artefacts.generator_run import TrainGanConfig
from pipelines.artefacts.shards import Shards
from pipelines.artefacts.translator_run import TrainTranslatorConfig
from pipelines.studying.planned_generator import PlannedGenerator
from pipelines.training.translation_data import classes_of, open_fold
from tfrecords_tools.foundation.errors import CommandError

# Settings of what comes in over the images, and is there from the start of a short training.
_PHASES = ("phase_epochs", "conditional_from_epochs", "conditional_until_epochs")


@dataclass(frozen=True, kw_only=True)
class GeneratorKind:
    """The generators that one command trains.

    Attributes:
      methods: names of theirs.
      command: trains them.
      given_by: the setting of the study that settings of their training come from.
      chosen: settings of their training that the study chooses, beside those that all have.
      edits: changes of masks that they draw from.
      rejects_copies: whether others are drawn in place of suspected copies. An image made from a real one lies near to
        it: how near is recorded, and none is drawn in its place.
      require_trainable: raises for a config of a training, and images of each class, that cannot be trained.
      require_images: raises for shards that a training has too few images in.
      shorter: settings that make a training short, beside its steps.
      steps: of a training by series, from its config and the steps of a pass over the images.
    """

    methods: Mapping[str, object]
    command: str
    given_by: str
    chosen: Callable[[PlannedGenerator], dict[str, object]] = lambda generator: {}
    edits: Callable[[PlannedGenerator], Sequence[str]] = lambda generator: ()
    rejects_copies: bool
    require_trainable: Callable[[Any, Sequence[int]], None] = lambda training, class_counts: None
    require_images: Callable[[Any, Shards, PlannedGenerator], None] = lambda training, shards, generator: None
    shorter: Callable[[Any], dict[str, object]] = lambda training: {}
    steps: Callable[[Any, int], dict[str, int]]


def kind_of(method: str) -> GeneratorKind:
    """Returns the kind of the generators of a method."""
    return next(kind for kind in KINDS if method in kind.methods)


def _require_trainable_gan(training: TrainGanConfig, class_counts: Sequence[int]) -> None:
    require_trainable(training, class_counts, training.total_steps)


def _shorter_gan(training: TrainGanConfig) -> dict[str, object]:
    settings = {"eval_interval": 0, "autoencoder_epochs": min(1, training.autoencoder_epochs)}
    return settings | {name: 0 for name in _PHASES if getattr(training, name)}


def _steps_of_gan(training: TrainGanConfig, steps_of_a_pass: int) -> dict[str, int]:
    return {"gan": training.total_steps, "autoencoder": training.autoencoder_epochs * steps_of_a_pass}


def _edits(generator: PlannedGenerator) -> Sequence[str]:
    return (*EDITS, TRANSPLANT) if TRANSLATORS[generator.method].is_paired else ()


def _require_sources(training: TrainTranslatorConfig, shards: Shards, generator: PlannedGenerator) -> None:
    """Raises CommandError if a translator has too few images to learn from, or to make others from."""
    data = open_fold(training, shards)
    sources, _ = classes_of(training, data)
    counts = data.images.counts_of(outlined_by(training))
    available = sum(counts[label] for label in sources)
    if generator.count > available and not _edits(generator):
        raise CommandError(
            f"--ratios: {generator.count} images of {generator.label} are wanted of {generator.name}, which makes one "
            f"of each of its {available} sources; give smaller ratios"
        )


KINDS = (
    GeneratorKind(
        methods=METHODS,
        command=generator_run.COMMAND,
        given_by="gan_settings",
        rejects_copies=True,
        require_trainable=_require_trainable_gan,
        shorter=_shorter_gan,
        steps=_steps_of_gan,
    ),
    GeneratorKind(
        methods=TRANSLATORS,
        command=translator_run.COMMAND,
        given_by="translator_settings",
        chosen=lambda generator: {"target_class": generator.label},
        edits=_edits,
        rejects_copies=False,
        require_images=_require_sources,
        steps=lambda training, steps_of_a_pass: {translator_run.SERIES: training.total_steps},
    ),
)
