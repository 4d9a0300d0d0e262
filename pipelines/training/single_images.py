"""Jobs of train_singan: the training of one image each, which resumes from its own checkpoint."""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from melgan.images import to_uint8
from melgan.single_image.config import SinganConfig
from melgan.single_image.drawing import reconstruct
from melgan.single_image.quality import source_distances
from melgan.single_image.trainer import SinganTrainer
from melgan.training.checkpoints import Checkpoints, Model
from melgan.training.determinism import make_deterministic
from melgan.training.distribution import make_strategy
from melgan.training.loop import LoopConfig, NonFiniteLoss, run_loop
from pipelines.artefacts.singan_run import GENERATORS_FOLDER, SingleImage, write_weights
from pipelines.contract.shared_settings import MAX_ROLLBACKS
from tfrecords_tools.foundation.documents import read_document, write_document
from tfrecords_tools.foundation.files import file_sha256, remove_folder

_REMEDY = "remove the file, then start the same command again"
_ALONE = threading.Lock()  # workers of a cluster may have threads, and all images of a process share one trainer


@dataclass(frozen=True)
class SingleImageJob:
    """The training of the generators of one image.

    Attributes:
      number: of the job, by which its files are called.
      image: uint8 `[H, W, C]`; a mask in its fourth channel is 0 and 255.
      image_name, label, shard: of the image.
      classes: names of the classes.
      folder: of the run.
      config: of SinGAN.
      checkpoint_every, steps_per_call: steps.
      deterministic: whether equal runs shall give equal bits.
    """

    number: int
    image: np.ndarray
    image_name: str
    label: int
    shard: int
    classes: tuple[str, ...]
    folder: str
    config: SinganConfig
    checkpoint_every: int
    steps_per_call: int
    deterministic: bool

    @property
    def name(self) -> str:
        """Names the job in messages."""
        return self.image_name

    @property
    def file(self) -> str:
        """The weights, in the folder of the run."""
        return f"{GENERATORS_FOLDER}/{self.number:05d}.npz"

    @property
    def checkpoints(self) -> Path:
        """The folder of its checkpoints, as long as it is not finished."""
        return Path(self.folder) / "checkpoints" / f"{self.number:05d}"

    @property
    def description(self) -> Path:
        """What is recorded of a finished job; written last."""
        return Path(self.folder) / GENERATORS_FOLDER / f"{self.number:05d}.json"


def finished(job: SingleImageJob) -> SingleImage | None:
    """Returns what an earlier run recorded of a job, if it finished it, and its weights are still there."""
    if not job.description.is_file():
        return None
    done, weights = read_document(job.description, SingleImage, _REMEDY), Path(job.folder) / job.file
    is_whole = done.name == job.image_name and weights.is_file() and file_sha256(weights) == done.sha256
    if is_whole:
        remove_folder(job.checkpoints)  # which a kill may have left
    return done if is_whole else None


def train_single_image(job: SingleImageJob) -> SingleImage:
    """Trains the generators of an image, from its last checkpoint on if there is one; returns what is recorded.

    Raises:
      NonFiniteLoss: naming the image, if no other random numbers help.
    """
    if job.deterministic:
        make_deterministic()
    with _ALONE:
        try:
            return finished(job) or _train(job)
        except NonFiniteLoss as error:
            raise NonFiniteLoss(f"{job.image_name}: {error}") from error


def _train(job: SingleImageJob) -> SingleImage:
    trainer = _trainer(job.config, job.image.shape[-1])
    trainer.begin(job.image)
    model = Model(job.config, job.classes)
    checkpoints = Checkpoints(job.checkpoints, trainer, tf.distribute.get_strategy(), model=model, keep=1)
    lengths = LoopConfig(
        total_steps=trainer.total_steps,
        checkpoint_every=job.checkpoint_every,
        log_every=job.checkpoint_every,
        steps_per_call=job.steps_per_call,
        max_rollbacks=MAX_ROLLBACKS,
    )
    run_loop(trainer, checkpoints, lengths, _Quiet(), start_step=checkpoints.restore())
    reconstruction = to_uint8(reconstruct(trainer.stack)).numpy()
    found = SingleImage(
        name=job.image_name,
        label=job.label,
        shard=job.shard,
        file=job.file,
        sha256=write_weights(Path(job.folder) / job.file, job.image, trainer.stack.get_weights()),
        reconstruction_error=float(source_distances(reconstruction, job.image[None])[0]),
    )
    write_document(job.description, found)
    remove_folder(job.checkpoints)
    return found


class _Quiet:
    """The surroundings of a loop that is told of elsewhere."""

    def batches_from(self, first_batch: int) -> Iterator:
        """Returns no batches: the image is a part of the trainer."""
        del first_batch
        return iter(tf.data.Dataset.range(0))

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Takes no notice."""

    def on_checkpoint(self, step: int) -> None:
        """Does nothing."""

    def on_rollback(self, step: int) -> None:
        """Says so."""
        logging.info("back to step %d", step)

    def stop_requested(self) -> bool:
        """Returns False: what is killed resumes from the last checkpoint."""
        return False


@lru_cache(maxsize=1)
def _trainer(config: SinganConfig, channels: int) -> SinganTrainer:
    """Returns the trainer of this process, which is compiled once for all of its images."""
    return SinganTrainer(config, make_strategy("one_device"), channels=channels)
