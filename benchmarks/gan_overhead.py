"""What surrounds a training step of BAGAN-GP: the loop and the input pipeline, from shards on disk.

Measured around a narrow network, where it stands out, and set against a step at full width. On one core the pipeline
takes its time from the training; beside an accelerator it runs meanwhile.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.looping import bare_steps, draw_shards, loop_seconds, use_one_thread
from benchmarks.measuring import Measurement, print_measurements, stay_on_one_core
from melgan.gans.config import GanConfig
from melgan.gans.methods import resolve
from melgan.gans.trainer import GanTrainer
from melgan.training.distribution import make_strategy
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
    use_one_thread()
    step = _bare_seconds(_trainer(width, batch_size, disc_steps=5), batch_size, steps=1)
    trainer = _trainer(narrow_width, batch_size, disc_steps=1)
    with tempfile.TemporaryDirectory() as folder:
        shards = draw_shards(Path(folder) / "shards", images, 64)
        make_batches = partial(_batches, shards, batch_size)
        rounds = [
            (
                _bare_seconds(trainer, batch_size, steps),
                *(loop_seconds(trainer, make_batches, Path(folder), steps, per_call) for per_call in (1, 10)),
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


def _batches(shards: ShardSet, batch_size: int, first_batch: int) -> tf.data.Dataset:
    return training_batches(
        [Stream(shards=shards)],
        num_classes=len(_CLASS_COUNTS),
        image_size=64,
        global_batch_size=batch_size,
        seed=0,
        start_step=first_batch,
    )


def _trainer(width: float, batch_size: int, disc_steps: int) -> GanTrainer:
    config = GanConfig(image_size=64, width=width, global_batch_size=batch_size, disc_steps=disc_steps, xla="off")
    return GanTrainer(resolve(config), _CLASS_COUNTS, make_strategy("one_device"))


def _bare_seconds(trainer: GanTrainer, batch_size: int, steps: int) -> float:
    """Returns the CPU seconds of a step on a batch that stays in memory, all steps in one call."""
    batch = {"image": np.zeros((batch_size, 64, 64, 3), np.uint8), "label": np.zeros(batch_size, np.int32)}
    take = bare_steps(trainer, batch, steps)
    start = time.process_time()
    take()
    return (time.process_time() - start) / steps


if __name__ == "__main__":
    stay_on_one_core()
    print_measurements(measure())
