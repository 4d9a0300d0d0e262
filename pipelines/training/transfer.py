"""--init_from: a GAN run that starts from the weights of a finished one, and the record of its origin."""

import tensorflow as tf
from absl import logging

from melgan.gans.config import GanConfig
from melgan.gans.trainer import GanTrainer
from melgan.gans.transfer import read_discriminator, read_encoder, require_same_networks, transfer_weights
from pipelines.artefacts.generator_run import Initialisation, Origin, load_generator, open_gan_run
from pipelines.artefacts.seen import require_unseen
from pipelines.artefacts.shards import Shards
from pipelines.contract.workdir import digest
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path, is_remote
from tfrecords_tools.manifest import ShardEntry

_FIELD = "init_from"


def require_transferable(config: GanConfig, path: str, shards: Shards, held_out: tuple[ShardEntry, ...]) -> None:
    """Raises, before anything is built or written, unless a run can start from another one.

    Arguments:
      config: resolved, of the run to start.
      path: folder of the finished run.
      shards: what the run to start is trained on.
      held_out: shards that it must not see; the other run must not have seen them either.

    Raises:
      CommandError: if the other run is not a finished GAN run in a local folder, or saw shards that are held out.
      ConfigError: if its networks differ.
    """
    if is_remote(as_path(path)):
        raise CommandError(f"--{_FIELD}={path}: lies in a bucket; copy the run to this machine first")
    # No network is built here: the names of layers, and so the bytes of generator.weights.h5, go by how many were.
    source = open_gan_run(path, _FIELD)
    require_same_networks(source.config, config)
    require_unseen(source.report.seen(), shards, held_out, f"--{_FIELD}={path}: this run")


def transfer(path: str, trainer: GanTrainer, classes: tuple[str, ...]) -> Origin:
    """Copies the weights of a finished run into a trainer that has not begun; returns where they come from.

    Arguments:
      path: folder of the finished run; without its checkpoints, only the generator is copied, unless it has Gaussians
        that an encoder is needed for.
      trainer: what receives the weights.
      classes: names of its classes.

    Raises:
      CommandError: if the encoder is needed and not there.
    """
    source = load_generator(path, _FIELD)
    config, report = source.run.config, source.run.report
    checkpoint = tf.train.latest_checkpoint(str(source.run.folder / "checkpoints" / "gan"))
    discriminator = read_discriminator(checkpoint, config, len(report.classes)) if checkpoint else None
    if trainer.networks.class_gaussians is not None:
        if checkpoint is None:
            raise CommandError(
                f"--{_FIELD}={path}: has no checkpoints/gan, and so not the encoder that the Gaussians of the classes "
                "are fitted with; copy the whole run"
            )
        encoder = read_encoder(checkpoint, config, len(report.classes))
        trainer.networks.encoder.set_weights(encoder.get_weights())
    transfer_weights(source.network, discriminator, trainer, source_classes=report.classes, target_classes=classes)
    _log(path, checkpoint is not None, [name for name in classes if name not in report.classes])
    initialisation = Initialisation(path=path, digest=digest(source.run.folder), discriminator=checkpoint is not None)
    return Origin(initialised_from=initialisation, ancestors=report.lineage)


def _log(path: str, with_discriminator: bool, new_classes: list[str]) -> None:
    logging.info("training starts from the weights of %s; no autoencoder is trained", path)
    if not with_discriminator:
        logging.warning("%s has no checkpoints/gan: the discriminator starts from random weights", path)
    if new_classes:
        logging.info("%s has no class %s: each starts from the mean of its classes", path, ", ".join(new_classes))
