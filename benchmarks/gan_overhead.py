"""What surrounds a training step of BAGAN-GP: the loop and the input pipeline, from shards on disk.

Measured around a narrow network, where it stands out, and set against a step at full width. On one core the pipeline
takes its time from the training; beside an accelerator it runs meanwhile.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.measuring import Measurement, print_measurements, stay_on_one_core
from melgan.gans.config import GanConfig
from melgan.gans.methods import resolve
from melgan.gans.trainer import GanTrainer
from melgan.training.checkpoints import Checkpoints
from melgan.training.distribution import make_strategy
from melgan.training.loop import LoopConfig, run_loop
from pipelines.artefacts.shards import open_shards
from pipelines.contract.launching import run_command
from tfrecords_tools.reading import training_batches
from tfrecords_tools.streams import ShardSet, Stream

_CLASS_COUNTS = (1, 1)


def measure(
    *, width: float = 1.0, narrow_width: float = 0.05, batch_size: int = 128, images: int = 2000, steps: int = 20
) -> list[Measurement]:
    """Returns the overhead of one and of ten steps a call.

    Arguments:
      width: factor on the published filters of the step that the overhead is set against.
      narrow_width: the same of the step that the overhead is measured around.
      batch_size: images a step.
      images: how many are drawn for the shards; at least 100.
      steps: how many are timed, after as many that are not; a multiple of 10.
    """
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    step = _bare_seconds(_trainer(width, batch_size, disc_steps=5), batch_size, steps=1)
    trainer = _trainer(narrow_width, batch_size, disc_steps=1)
    with tempfile.TemporaryDirectory() as folder:
        shards = _draw_shards(Path(folder) / "shards", images)
        rounds = [
            (
                _bare_seconds(trainer, batch_size, steps),
                *(_loop_seconds(trainer, shards, Path(folder), batch_size, steps, per_call) for per_call in (1, 10)),
            )
            for _ in range(3)
        ]
    bare, one, ten = zip(*rounds, strict=True)
    return [
        _measurement(per_call, statistics.median(np.subtract(loop, bare)), step, batch_size)
        for per_call, loop in ((1, one), (10, ten))
    ]


def _measurement(per_call: int, overhead: float, step: float, batch_size: int) -> Measurement:
    return Measurement(
        what=f"loop and input pipeline, batch {batch_size}, steps_per_call {per_call}",
        ours=f"{1000 * overhead:.0f} ms a step",
        rival=f"the same step on a batch in memory, published widths, 5 + 1 steps: {step:.1f} s",
        value=100 * max(overhead, 0.0) / step,
        unit="% of a step",
        at_most=5,
    )


def _trainer(width: float, batch_size: int, disc_steps: int) -> GanTrainer:
    config = GanConfig(image_size=64, width=width, global_batch_size=batch_size, disc_steps=disc_steps, xla="off")
    return GanTrainer(resolve(config), _CLASS_COUNTS, make_strategy("one_device"))


def _bare_seconds(trainer: GanTrainer, batch_size: int, steps: int) -> float:
    """Returns the CPU seconds of a step on a batch that stays in memory, all steps in one call."""
    batch = {"image": np.zeros((batch_size, 64, 64, 3), np.uint8), "label": np.zeros(batch_size, np.int32)}
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    program, _ = trainer.program_at(0)
    take = partial(program, batches, tf.constant(0, tf.int64))
    take(tf.constant(1, tf.int64))
    return _cpu_seconds(lambda: take(tf.constant(steps, tf.int64))) / steps


class _Clock:
    """The surroundings of a training that reads shards: notes the CPU time at every line of metrics."""

    def __init__(self, shards: ShardSet, batch_size: int) -> None:
        self._shards, self._batch_size = shards, batch_size
        self.times: list[float] = []

    def batches_from(self, first_batch: int) -> Iterator:
        """Returns the batches."""
        batches = training_batches(
            [Stream(shards=self._shards)],
            num_classes=len(_CLASS_COUNTS),
            image_size=64,
            global_batch_size=self._batch_size,
            seed=0,
            start_step=first_batch,
        )
        return iter(batches)

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


def _loop_seconds(
    trainer: GanTrainer, shards: ShardSet, folder: Path, batch_size: int, steps: int, steps_per_call: int
) -> float:
    """Returns the CPU seconds of a step in the loop of a training that reads shards, between two lines of metrics."""
    checkpoints = Checkpoints(folder / "checkpoints", trainer, make_strategy("one_device"))
    config = LoopConfig(
        total_steps=2 * steps, checkpoint_every=2 * steps, log_every=steps, steps_per_call=steps_per_call
    )
    clock = _Clock(shards, batch_size)
    run_loop(trainer, checkpoints, config, clock, start_step=0)
    return (clock.times[1] - clock.times[0]) / steps


def _draw_shards(folder: Path, images: int) -> ShardSet:
    settings = {"source": "phantom", "input": folder.parent / "images", "output": folder}
    run_command("make_shards", settings | {"image_size": 64, "num_images": images})
    shards = open_shards(str(folder), "shards")
    return shards.read(shards.manifest.split("train"))


def _cpu_seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    stay_on_one_core()
    print_measurements(measure())
