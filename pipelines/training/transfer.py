"""--resume_from: a GAN run that starts from the weights of a finished one, and what is written down about it."""

import json

import tensorflow as tf
from absl import logging

from melgan.gans.config import GanConfig
from melgan.gans.trainer import GanTrainer
from melgan.gans.transfer import read_discriminator, read_encoder, require_same_networks, transfer_weights
from pipelines.artefacts.generator_run import load_generator, read_gan_run
from pipelines.artefacts.seen import refuse_seen
from pipelines.artefacts.shards import Shards
from pipelines.contract.workdir import Workdir, digest
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, as_path, is_file, is_remote, read_text, write_atomically
from tfrecords_tools.manifest import ShardEntry

RESUMED_FILE = "resumed_from.json"
_FIELD = "resume_from"


def check_source(config: GanConfig, path: str, shards: Shards, held_out: tuple[ShardEntry, ...]) -> None:
    """Raises, before anything is built or written, unless a run can start from another one.

    Arguments:
      config: resolved, of the run to start.
      path: folder of the finished run.
      shards: what the run to start is trained on.
      held_out: those of the shards that it must not see; the other run must not have seen them either.

    Raises:
      CommandError: if the other run is not a finished GAN run in a local folder, or saw shards that are held out.
      ConfigError: if its networks differ.
    """
    if is_remote(as_path(path)):
        raise CommandError(f"--{_FIELD}={path}: lies in a bucket; copy the run to this machine first")
    # No network is built here: the names of layers, and so the bytes of generator.weights.h5, go by how many were.
    source_config, report = read_gan_run(path, _FIELD)
    require_same_networks(source_config, config)
    refuse_seen(ancestors(report), shards, held_out, f"--{_FIELD}={path}: this run")


def take_over(path: str, trainer: GanTrainer, classes: tuple[str, ...], workdir: Workdir) -> None:
    """Copies the weights of a finished run into a trainer that has not begun, and writes down where they are from.

    Arguments:
      path: folder of the finished run; without its checkpoints, only the generator is copied, unless it has Gaussians
        that an encoder is needed for.
      trainer: what receives the weights.
      classes: names of its classes.
      workdir: of its run.

    Raises:
      CommandError: if the encoder is needed and not there.
    """
    source = load_generator(path, _FIELD)
    source_classes = source.report["classes"]
    checkpoint = tf.train.latest_checkpoint(str(as_path(path) / "checkpoints" / "gan"))
    discriminator = read_discriminator(checkpoint, source.config, len(source_classes)) if checkpoint else None
    if trainer.class_gaussians is not None:
        if checkpoint is None:
            raise CommandError(
                f"--{_FIELD}={path}: has no checkpoints/gan, and so not the encoder that the Gaussians of the classes "
                "are fitted with; copy the whole run"
            )
        trainer.encoder.set_weights(read_encoder(checkpoint, source.config, len(source_classes)).get_weights())
    transfer_weights(source.network, discriminator, trainer, source_classes=source_classes, target_classes=classes)
    if workdir.writable:
        provenance = {
            "resumed_from": {"path": path, "digest": digest(as_path(path)), "discriminator": bool(checkpoint)},
            "ancestors": ancestors(source.report),
        }
        write_atomically(workdir.path / RESUMED_FILE, json.dumps(provenance, indent=1) + "\n")
    _log(path, bool(checkpoint), [name for name in classes if name not in source_classes])


def has_taken_over(folder: AnyPath) -> bool:
    """Returns whether a run has its weights already, so that the other run is needed no more."""
    return is_file(folder / RESUMED_FILE)


def read_provenance(folder: AnyPath) -> dict:
    """Returns what report.json tells of a run's origin: `resumed_from`, None if from nothing, and `ancestors`.

    The ancestors are what the generators that it came from were trained on, the nearest first.
    """
    if not has_taken_over(folder):
        return {"resumed_from": None, "ancestors": []}
    return json.loads(read_text(folder / RESUMED_FILE))


def ancestors(report: dict) -> list[dict]:
    """Returns what a generator, and those that it came from, were trained on, from the report of its run."""
    return [report["trained_on"], *report.get("ancestors", [])]


def _log(path: str, with_discriminator: bool, new_classes: list[str]) -> None:
    logging.info("weights of %s taken over; no autoencoder is trained", path)
    if not with_discriminator:
        logging.warning("%s has no checkpoints/gan: the discriminator starts from random weights", path)
    if new_classes:
        logging.info("%s has no class %s: each starts from the mean of its classes", path, ", ".join(new_classes))
