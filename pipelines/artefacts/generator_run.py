"""The generators of a GAN run, the last and the best: averaged weights, for networks built from config.json again."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import keras

from melgan.gans.architectures import build_networks
from melgan.gans.config import GanConfig
from pipelines.contract.workdir import read_run, require_completed
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, as_path, download, file_crc32c, file_sha256, is_remote

GENERATOR_FILE, BEST_GENERATOR_FILE, BEST_FILE = "generator.weights.h5", "best_generator.weights.h5", "best.json"
CHECKPOINTS = ("last", "best")


@dataclass(frozen=True)
class LoadedGenerator:
    """A trained generator with the SHA-256 of its weights, and the settings and the report of its run.

    `selected_on` are the real shards by which it was chosen as the best of its run, None for the last.
    """

    network: keras.Model
    sha256: str
    config: GanConfig
    report: dict
    selected_on: dict | None = None


def write_generator(path: Path, generator: keras.Model) -> str:
    """Writes the weights atomically; returns the SHA-256 of the file."""
    temporary = path.with_name(f"unfinished.{path.name}")
    generator.save_weights(temporary)
    temporary.replace(path)
    return file_sha256(path)


def read_gan_run(path: str, field: str) -> tuple[GanConfig, dict]:
    """Returns the settings and the report of a completed GAN run.

    Raises:
      CommandError: if the run is not complete, or not of train_gan.
    """
    settings, report = read_run(require_completed(path, field))
    if settings["stage"] != "train_gan":
        raise CommandError(f"--{field}={path}: made by {settings['stage']}, not by train_gan")
    # What a setting that came later was before is its default.
    return GanConfig(
        **{field.name: settings[field.name] for field in fields(GanConfig) if field.name in settings}
    ), report


def load_generator(path: str, field: str, checkpoint: str = "last") -> LoadedGenerator:
    """Builds the generator of a completed GAN run and loads its weights; no code is read from the file.

    Arguments:
      path: of the run.
      field: that names it.
      checkpoint: which of `CHECKPOINTS`.

    Raises:
      CommandError: if the run is not complete, kept no best generator, or its weights are not those of its report.
    """
    config, report = read_gan_run(path, field)
    file = as_path(path) / (BEST_GENERATOR_FILE if checkpoint == "best" else GENERATOR_FILE)
    if checkpoint == "best" and not report.get("best"):
        raise CommandError(f"--{field}={path}: kept no best generator; train with --eval_interval, or use the last")
    sha256 = report["best"]["sha256"] if checkpoint == "best" else report["generator_sha256"]
    network = build_networks(config, len(report["classes"])).generator
    with _local_copy(file) as weights:
        if file_sha256(weights) != sha256:
            raise CommandError(f"{file}: not the file of the report (SHA-256 differs); train again")
        network.load_weights(weights)
    selected_on = report["best"].get("selected_on") if checkpoint == "best" else None
    return LoadedGenerator(network, sha256, config, report, selected_on)


@contextlib.contextmanager
def _local_copy(path: AnyPath) -> Iterator[Path]:
    """Gives a file that Keras can read: the file itself, or a copy of a bucket's that goes with the context."""
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield download(path, Path(folder), file_crc32c(path))
