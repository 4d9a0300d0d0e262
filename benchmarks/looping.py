"""What a training costs beside its steps: the same steps on a batch in memory, and in the loop that reads shards."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from melgan.training.checkpoints import Checkpoints
from melgan.training.distribution import make_strategy
from melgan.training.loop import LoopConfig, Trainer, run_loop
from pipelines.artefacts.shards import open_shards
from pipelines.contract.launching import run_command
from tfrecords_tools.streams import ShardSet


def use_one_thread() -> None:
    """Lets TensorFlow compute on one thread of the processor."""
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)


def bare_steps(trainer: Trainer, batch: Mapping[str, np.ndarray], steps: int) -> Callable[[], object]:
    """Returns what takes steps on a batch that stays in memory, all in one call; one step is taken before."""
    batches = iter(tf.data.Dataset.from_tensors(dict(batch)).repeat())
    program, _ = trainer.program_at(0)
    program(batches, tf.constant(0, tf.int64), tf.constant(1, tf.int64))
    return lambda: program(batches, tf.constant(0, tf.int64), tf.constant(steps, tf.int64))


class _Clock:
    """The surroundings of a training that reads shards: notes the CPU time at every line of metrics."""

    def __init__(self, make_batches: Callable[[int], tf.data.Dataset]) -> None:
        self._make_batches = make_batches
        self.times: list[float] = []

    def batches_from(self, first_batch: int) -> Iterator:
        """Returns the batches."""
        return iter(self._make_batches(first_batch))

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Notes the time."""
        self.times.append(time.process_time())

    def on_checkpoint(self, step: int) -> None:
        """Does nothing."""

    def on_rollback(self, step: int) -> None:
        """Does nothing."""

    def stop_requested(self) -> bool:
        """Returns False."""
        return False


def loop_seconds(
    trainer: Trainer, make_batches: Callable[[int], tf.data.Dataset], folder: Path, steps: int, steps_per_call: int
) -> float:
    """Returns the CPU seconds of a step in the loop of a training that reads shards, between two lines of metrics.

    Arguments:
      trainer: what is trained.
      make_batches: returns its batches from a number on.
      folder: for its checkpoints.
      steps: how many are timed, after as many that are not.
      steps_per_call: steps in a call of the device.
    """
    checkpoints = Checkpoints(folder / "checkpoints", trainer, make_strategy("one_device"))
    config = LoopConfig(
        total_steps=2 * steps, checkpoint_every=2 * steps, log_every=steps, steps_per_call=steps_per_call
    )
    clock = _Clock(make_batches)
    run_loop(trainer, checkpoints, config, clock, start_step=0)
    return (clock.times[1] - clock.times[0]) / steps


def draw_shards(folder: Path, images: int, image_size: int) -> ShardSet:
    """Returns the training images of phantom shards that are drawn into a folder."""
    settings = {"source": "phantom", "input": folder.parent / f"{folder.name}_images", "output": folder}
    run_command("make_shards", settings | {"image_size": image_size, "num_images": images})
    shards = open_shards(str(folder), "shards")
    return shards.read(shards.manifest.split("train"))
