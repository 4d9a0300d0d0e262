"""The run of train_gan: its settings, its report, and its generators, the last and the best.

Generators are averaged weights, for networks that are built again from config.json; no code is read from their files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from melgan.gans.architectures import build_networks
from melgan.gans.config import GanConfig
from melgan.gans.sampler import LabelSampler
from melgan.layers.box_table import BoxTable
from melgan.metrics.extractors import EXTRACTORS
from melgan.training.weights import load_weights
from pipelines.artefacts.feature_store import require_known_features
from pipelines.artefacts.file_of_report import file_of_report
from pipelines.artefacts.metrics_file import METRICS_FILE
from pipelines.contract.generator_settings import GeneratorSettings
from pipelines.contract.workdir import read_config, read_report, require_run
from tfrecords_tools.foundation.documents import read_document, stored, write_document
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, file_sha256, is_file, written_whole
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.provenance import SeenShards, ShardsUsed

COMMAND = "train_gan"
GENERATOR_FILE, BEST_GENERATOR_FILE, BEST_FILE = "generator.weights.h5", "best_generator.weights.h5", "best.json"
ORIGIN_FILE = "resumed_from.json"  # so called before --init_from had its name
_REMEDY = "train again, in a new folder"


@dataclass(frozen=True, kw_only=True)
class TrainGanConfig(GanConfig, GeneratorSettings):
    """Settings of train_gan: the GAN, and where, how long and on what to train it."""

    shards: str = setting(help="folder that make_shards wrote, local or gs://", is_path=True)
    workdir: str = setting(
        help="folder for checkpoints, metrics, samples and the generator, local or gs://", changes_result=False
    )
    total_steps: int = setting(20000, "generator steps; may be changed before they are done", changes_result=False)
    init_from: str = setting(
        "", "finished GAN run, of any classes, whose weights training starts from", formerly="resume_from", is_path=True
    )
    eval_interval: int = setting(
        0,
        "steps between evaluations by real images, of which the best generator is kept; 0: none; whole checkpoints",
        changes_result=False,
    )
    eval_by: str = setting(
        "held_out",
        "real images to evaluate by: held_out ones, which may then not validate a classifier, or the training images",
        choices=("held_out", "training"),
    )
    eval_features: str = setting(
        "pixels",
        f"features of these evaluations: {', '.join(EXTRACTORS)} or classifier:RUN",
        is_path=True,
        words=tuple(EXTRACTORS),
    )
    eval_weights: str = setting("", "file of InceptionV3's ImageNet weights for them", is_path=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.total_steps >= 1, "total_steps", self.total_steps, "at least 1")
        require(
            self.eval_interval >= 0 and self.eval_interval % self.checkpoint_every == 0,
            "eval_interval",
            self.eval_interval,
            f"0 or a multiple of checkpoint_every, {self.checkpoint_every}",
        )
        require_known_features(self.eval_features, "eval_features")


@dataclass(frozen=True, kw_only=True)
class BestGenerator:
    """The best generator of a run so far: its step, and its KID of a class by some shards."""

    step: int
    kid: float
    class_name: str = stored("class")
    sha256: str
    selected_on: ShardsUsed | None = None


@dataclass(frozen=True, kw_only=True)
class Initialisation:
    """The run whose weights a training started from; `discriminator` tells whether that was there too."""

    path: str
    digest: str
    discriminator: bool


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The origin of the first weights of a run, and the shards that the generators before it were trained on."""

    initialised_from: Initialisation | None = stored("resumed_from", default=None)
    ancestors: tuple[ShardsUsed, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GanReport:
    """The report of train_gan."""

    generator_sha256: str
    method: str
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    trained_on: ShardsUsed
    initialised_from: Initialisation | None = stored("resumed_from", default=None)
    ancestors: tuple[ShardsUsed, ...] = ()
    best: BestGenerator | None = None
    last_metrics: dict[str, float]
    steps: int
    rollbacks: int

    def seen(self, checkpoint: str = "last") -> SeenShards:
        """Returns which real shards a generator of the run has seen."""
        selected_on = self.best.selected_on if checkpoint == "best" and self.best is not None else None
        return SeenShards(trained_on=self.trained_on, selected_on=selected_on, ancestors=self.ancestors)

    @property
    def lineage(self) -> tuple[ShardsUsed, ...]:
        """The shards that this generator and its ancestors were trained on, the nearest first."""
        return (self.trained_on, *self.ancestors)


@dataclass(frozen=True)
class GanRun:
    """A completed run of train_gan."""

    folder: AnyPath
    config: TrainGanConfig
    report: GanReport


@dataclass(frozen=True)
class LoadedGenerator:
    """A trained generator: its network, the SHA-256 of its weights, its run, and which of the run's it is."""

    network: keras.Model
    box_table: BoxTable | None
    sha256: str
    run: GanRun
    checkpoint: str

    @property
    def seen(self) -> SeenShards:
        """The real shards that it has seen."""
        return self.run.report.seen(self.checkpoint)

    def sampler(self, seed: int) -> LabelSampler:
        """Returns what draws its images."""
        return LabelSampler(self.network, self.run.config, self.run.report.classes, seed=seed, box_table=self.box_table)


def write_generator(path: Path, generator: keras.Model) -> str:
    """Writes the weights atomically; returns the SHA-256 of the file."""
    with written_whole(path) as unfinished:
        generator.save_weights(unfinished)
    return file_sha256(path)


def open_gan_run(path: str, field: str) -> GanRun:
    """Returns a GAN run that a setting names.

    Raises:
      CommandError: if the run is not complete, or not of train_gan.
    """
    return read_gan_run(require_run(path, field, COMMAND))


def read_gan_run(folder: AnyPath) -> GanRun:
    """Returns the GAN run of a completed folder."""
    return GanRun(folder, read_config(folder, TrainGanConfig), read_report(folder, GanReport))


def load_generator(path: str, field: str, checkpoint: str = "last") -> LoadedGenerator:
    """Builds the generator of a completed GAN run and loads its weights; no code is read from the file.

    Arguments:
      path: of the run.
      field: that names it.
      checkpoint: which of `CHECKPOINTS`.

    Raises:
      CommandError: if the run is not complete, kept no best generator, or its weights are not the ones of its report.
    """
    run = open_gan_run(path, field)
    best = run.report.best
    if checkpoint == "best" and best is None:
        raise CommandError(f"--{field}={path}: kept no best generator; train with --eval_interval, or use the last")
    file = run.folder / (BEST_GENERATOR_FILE if checkpoint == "best" else GENERATOR_FILE)
    sha256 = best.sha256 if checkpoint == "best" else run.report.generator_sha256
    networks = build_networks(run.config, len(run.report.classes))
    with file_of_report(file, sha256) as weights:
        load_weights(networks.generator, weights)
    return LoadedGenerator(networks.generator, networks.box_table, sha256, run, checkpoint)


def needed_to_go_on(names: Sequence[str]) -> list[str]:
    """Returns which files of a run's folder a run that resumes needs."""
    singly = (METRICS_FILE, BEST_FILE, BEST_GENERATOR_FILE)
    return [name for name in names if name.startswith("checkpoints/") or name in singly]


def read_best(folder: Path) -> BestGenerator | None:
    """Returns the best generator of a run so far, None if none was evaluated."""
    path = folder / BEST_FILE
    return read_document(path, BestGenerator, _REMEDY) if path.is_file() else None


def write_origin(folder: AnyPath, origin: Origin) -> None:
    """Writes down where the first weights of a run come from."""
    write_document(folder / ORIGIN_FILE, origin)


def read_origin(folder: AnyPath) -> Origin:
    """Returns where the first weights of a run come from: from nothing, unless that was written down."""
    path = folder / ORIGIN_FILE
    return read_document(path, Origin, _REMEDY) if is_file(path) else Origin()
