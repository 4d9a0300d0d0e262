"""Everything around the loop of any trainer: batches, checkpoints, lines of metrics, progress."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from absl import logging

from melgan.training.checkpoints import Checkpoints
from melgan.training.loop import LoopConfig, Trainer
from pipelines.artefacts.metrics_file import TENSORBOARD, MetricsWriter
from pipelines.contract.progress import Progress
from pipelines.training.batches import MakeBatches, distributed_batches


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The surroundings that the trainings of a run have in common.

    Attributes:
      strategy: under which they train.
      folder: of metrics.jsonl.
      writable: False for workers beside the chief, which write no metrics.
      stop_requested: asked after every call of a program.
      track: called when there are new lines of metrics that will stay.
    """

    strategy: tf.distribute.Strategy
    folder: Path
    writable: bool
    stop_requested: Callable[[], bool]
    track: Callable[[], None]


class Driver:
    """The callbacks of a training; it starts from the newest checkpoint.

    `start_step` is the step of that checkpoint, 0 if there is none. `run_loop(driver.trainer, driver.checkpoints,
    driver.config, driver, start_step=driver.start_step)` trains to the end.

    Arguments:
      trainer: what is trained.
      checkpoints: of the trainer.
      config: lengths of the training.
      make_batches: see `distributed_batches`.
      series: the name of its lines in metrics.jsonl.
      surroundings: of the run.
      title: of the line of progress; the series by default.
      note: what the line of progress says of some metrics.
      on_checkpoint: called with the step of each checkpoint that was saved.
    """

    def __init__(
        self,
        trainer: Trainer,
        checkpoints: Checkpoints,
        config: LoopConfig,
        make_batches: MakeBatches,
        *,
        series: str,
        surroundings: Surroundings,
        title: str = "",
        note: Callable[[dict[str, float]], str] | None = None,
        on_checkpoint: Callable[[int], None] = lambda step: None,
    ) -> None:
        self.trainer, self.checkpoints, self.config = trainer, checkpoints, config
        self.start_step = checkpoints.restore()
        self._make_batches, self._strategy = make_batches, surroundings.strategy
        self._stop_requested, self._on_checkpoint = surroundings.stop_requested, on_checkpoint
        self._track = surroundings.track
        self._note = note or _list
        self._writer = MetricsWriter(surroundings.folder, series, self.start_step) if surroundings.writable else None
        self._progress = Progress(title or series, config.total_steps, "steps", self.start_step)
        if self.start_step < config.total_steps:
            logs = surroundings.folder / TENSORBOARD
            logging.info(
                "%s: compiling the first step, which may take a minute; tensorboard --logdir=%s shows the metrics",
                *(title or series, logs),
            )

    def batches_from(self, first_batch: int) -> Iterator:
        """Returns the endless stream of batches from a batch number on."""
        return distributed_batches(self._strategy, self._make_batches, first_batch)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Appends a line of metrics."""
        if self._writer is not None:
            self._writer.write(step, metrics)

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Appends a line of metrics and shows the progress."""
        self.write(step, metrics)
        self._progress.update(step, self._note(metrics))

    def on_checkpoint(self, step: int) -> None:
        """Does what is due after a checkpoint was saved: no line of metrics before it will be dropped."""
        self._on_checkpoint(step)
        self._track()

    def on_rollback(self, step: int) -> None:
        """Drops the lines of later steps."""
        if self._writer is not None:
            self._writer.drop_after(step)

    def stop_requested(self) -> bool:
        """Returns whether the run shall end."""
        return self._stop_requested()


def _list(metrics: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in metrics.items())
