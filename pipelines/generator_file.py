"""generator.weights.h5 of a GAN run: the averaged generator, built again from the run's config.json."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import keras

from melgan.architectures import build_networks
from melgan.config import GanConfig
from pipelines import stage
from tfrecords_tools.storage import AnyPath, as_path, download, file_crc32c, file_sha256, is_remote

GENERATOR_FILE = "generator.weights.h5"


@dataclass(frozen=True)
class LoadedGenerator:
    """A trained generator with the settings and the report of its run."""

    network: keras.Model
    config: GanConfig
    report: dict


def write_generator(folder: Path, generator: keras.Model) -> str:
    """Writes the weights atomically; returns the SHA-256 of the file."""
    temporary = folder / f"unfinished.{GENERATOR_FILE}"
    generator.save_weights(temporary)
    temporary.replace(folder / GENERATOR_FILE)
    return file_sha256(folder / GENERATOR_FILE)


def read_gan_run(path: str, field: str) -> tuple[GanConfig, dict]:
    """Returns the settings and the report of a completed GAN run.

    Raises:
      StageError: if the run is not complete, or not of train_gan.
    """
    settings, report = stage.read_run(stage.require_completed(path, field))
    if settings["stage"] != "train_gan":
        raise stage.StageError(f"--{field}={path}: made by {settings['stage']}, not by train_gan")
    return GanConfig(**{field.name: settings[field.name] for field in fields(GanConfig)}), report


def load_generator(path: str, field: str) -> LoadedGenerator:
    """Builds the generator of a completed GAN run and loads its weights; no code is read from the file.

    Raises:
      StageError: if the run is not complete, or its weights are not those of its report.
    """
    config, report = read_gan_run(path, field)
    folder = as_path(path)
    network = build_networks(config, len(report["classes"])).generator
    with _local_copy(folder / GENERATOR_FILE) as weights:
        if file_sha256(weights) != report["generator_sha256"]:
            raise stage.StageError(
                f"{folder / GENERATOR_FILE}: not the file of the report (SHA-256 differs); train again"
            )
        network.load_weights(weights)
    return LoadedGenerator(network, config, report)


@contextlib.contextmanager
def _local_copy(path: AnyPath) -> Iterator[Path]:
    """Gives a file that Keras can read: the file itself, or a copy of a bucket's that goes with the context."""
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield download(path, Path(folder), file_crc32c(path))
