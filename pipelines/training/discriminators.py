"""The discriminator of a GAN run as the backbone of classifiers."""

from functools import partial
from pathlib import Path

import numpy as np

from melgan.classifiers.config import GAN_WEIGHTS
from melgan.classifiers.discriminator import DISCRIMINATOR_PREFIX, discriminator_features, require_takes_images_alone
from melgan.classifiers.network import MakeBackbone
from melgan.gans.config import GanConfig
from melgan.gans.transfer import read_discriminator
from melgan.training.checkpoints import checkpoint_of_step
from pipelines.artefacts.generator_run import GanRun, open_gan_run
from tfrecords_tools.foundation.errors import CommandError, ConfigError
from tfrecords_tools.foundation.files import is_remote
from tfrecords_tools.foundation.settings import inherited


def open_discriminator_run(path: str, image_size: int) -> GanRun:
    """Returns the GAN run that `--backbone=discriminator:RUN` names.

    Arguments:
      path: of the run.
      image_size: of the classifier.

    Raises:
      CommandError: if it is no finished GAN run, or its discriminator cannot be the backbone.
    """
    run = open_gan_run(path, "backbone")
    named = f"--backbone={DISCRIMINATOR_PREFIX}{path}"
    try:
        require_takes_images_alone(run.config)
    except ConfigError as error:
        raise CommandError(f"{named}: {error}") from error
    size = run.config.image_size
    if size != image_size:
        raise CommandError(f"{named}: sees images of {size} px, not {image_size}; give --image_size={size}")
    return run


def trunk_weights(run: GanRun) -> list[np.ndarray]:
    """Returns the weights of the trunk of a discriminator after its last step.

    Raises:
      CommandError: if its checkpoint is not there.
      ConfigError: if that is damaged.
    """
    named = f"--backbone={DISCRIMINATOR_PREFIX}{run.folder}"
    if is_remote(run.folder):
        raise CommandError(f"{named}: lies in a bucket; copy the run to this machine first")
    folder = Path(run.folder) / "checkpoints" / "gan"
    checkpoint = checkpoint_of_step(folder, run.report.steps)
    if checkpoint is None:
        raise CommandError(
            f"{named}: {folder} has no checkpoint of its last step, {run.report.steps}; copy the whole run, or give "
            "--weights=none"
        )
    return read_discriminator(str(checkpoint), run.config, len(run.report.classes)).trunk.get_weights()


def backbone_of_run(run: GanRun, weights: str) -> MakeBackbone:
    """Returns what makes the backbone of a classifier from the discriminator of a GAN run.

    Arguments:
      run: of the GAN.
      weights: see `ClassifierConfig.weights`; those of the GAN, or random ones that others may follow.
    """
    values = trunk_weights(run) if weights == GAN_WEIGHTS else []
    return partial(discriminator_features, inherited(run.config, GanConfig), values)
