"""The run of train_translator: its settings, its report, and its generator.

The generator is of averaged weights, for a network that is built again from config.json; no code is read from its file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from melgan.training.weights import load_weights
from melgan.translation.config import TranslatorConfig
from melgan.translation.translators import build_generator
from pipelines.artefacts.file_of_report import file_of_report
from pipelines.artefacts.generator_run import GENERATOR_FILE
from pipelines.artefacts.metrics_file import METRICS_FILE
from pipelines.contract.generator_settings import GeneratorSettings
from pipelines.contract.workdir import read_config, read_report, require_run
from tfrecords_tools.foundation.documents import stored
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.provenance import SeenShards, ShardsUsed

COMMAND = "train_translator"
SERIES = "translator"  # of its metrics and checkpoints
REST = "rest"  # all other classes


@dataclass(frozen=True, kw_only=True)
class TrainTranslatorConfig(TranslatorConfig, GeneratorSettings):
    """Settings of train_translator: the translator, and where, how long and on what to train it."""

    shards: str = setting(help="folder that make_shards wrote, local or gs://", is_path=True)
    workdir: str = setting(
        help="folder for checkpoints, metrics, samples and the generator, local or gs://", changes_result=False
    )
    source_class: str = setting(
        REST, f"class that is translated, {REST}: all but --target_class; pix2pix draws from masks of all"
    )
    target_class: str = setting("", "class that it is translated to; none: the one with the fewest training images")
    init_from: str = setting(
        "", "finished run of the same method and size whose weights training starts from", is_path=True
    )
    dihedral: bool = setting(True, "flip and turn real images, and their masks, by the eight ways of a square")
    total_steps: int = setting(20000, "steps; the learning rate falls towards the last")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.total_steps >= 1, "total_steps", self.total_steps, "at least 1")
        require(
            self.source_class != self.target_class or not self.source_class,
            "source_class",
            self.source_class,
            "another than --target_class",
        )


@dataclass(frozen=True, kw_only=True)
class TranslatorReport:
    """The report of train_translator; classes are named, and counted among the training images."""

    generator_sha256: str
    method: str
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    source_classes: tuple[str, ...]
    target_class: str
    trained_on: ShardsUsed
    ancestors: tuple[ShardsUsed, ...] = stored(default=(), omit_default=True)
    last_metrics: dict[str, float]
    steps: int
    rollbacks: int

    @property
    def seen(self) -> SeenShards:
        """The real shards that its generator has seen."""
        return SeenShards(trained_on=self.trained_on, ancestors=self.ancestors)


@dataclass(frozen=True)
class TranslatorRun:
    """A completed run of train_translator."""

    folder: AnyPath
    config: TrainTranslatorConfig
    report: TranslatorReport


def open_translator_run(path: str, field: str) -> TranslatorRun:
    """Returns a run that a setting names.

    Raises:
      CommandError: if the run is not complete, or not of train_translator.
    """
    return read_translator_run(require_run(path, field, COMMAND))


def read_translator_run(folder: AnyPath) -> TranslatorRun:
    """Returns the run of a completed folder."""
    return TranslatorRun(folder, read_config(folder, TrainTranslatorConfig), read_report(folder, TranslatorReport))


def load_translator(run: TranslatorRun) -> keras.Model:
    """Builds the generator of a run and loads its weights; no code is read from the file.

    Raises:
      CommandError: if its weights are not those of its report.
    """
    generator = build_generator(run.config, len(run.report.classes))
    with file_of_report(run.folder / GENERATOR_FILE, run.report.generator_sha256) as weights:
        load_weights(generator, weights)
    return generator


def needed_to_go_on(names: Sequence[str]) -> list[str]:
    """Returns which files of a run's folder a run that resumes needs."""
    return [name for name in names if name.startswith("checkpoints/") or name == METRICS_FILE]
