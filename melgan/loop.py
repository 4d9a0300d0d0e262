"""The outer loop around any trainer: checkpoints, resume, metrics, the stop at a non-finite loss, preemption."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import tensorflow as tf

from melgan.distribution import is_chief
from melgan.errors import ConfigError, Preempted


class Trainer(Protocol):
    """What the loop drives; `train_steps` takes a number of steps in one call and returns the last one's metrics."""

    @property
    def checkpointed(self) -> dict:
        """What a checkpoint holds."""

    def train_steps(self, batches: Iterator, step: tf.Tensor, num_steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """Trains."""


class NonFiniteLoss(ConfigError):
    """A loss that is not a number; training on would destroy the weights."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Lengths in steps. Several steps run per host call, never across a multiple of `log_every`."""

    total_steps: int
    checkpoint_every: int
    log_every: int
    steps_per_call: int = 1


class Checkpoints:
    """The checkpoints of one training in a folder; the last `keep` of them stay.

    Every worker must save, because the variables may be spread over workers; those that are not the chief write to
    a folder of their own, which only they read.
    """

    def __init__(self, folder: Path, trainer: Trainer, strategy: tf.distribute.Strategy, keep: int = 2) -> None:
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        checkpoint = tf.train.Checkpoint(step=self._step, **trainer.checkpointed)
        self._chief = is_chief(strategy)
        own = folder if self._chief else folder / f"worker_{strategy.cluster_resolver.task_id}"
        self._folder = folder
        self._checkpoint = checkpoint
        self._manager = tf.train.CheckpointManager(checkpoint, str(own), max_to_keep=keep)

    def restore(self) -> int:
        """Restores the newest checkpoint, the chief's on every worker; returns its step, 0 if there is none."""
        newest = tf.train.latest_checkpoint(str(self._folder))
        if newest is None:
            return 0
        try:
            self._checkpoint.restore(newest).assert_existing_objects_matched()
        except (AssertionError, ValueError, IndexError, tf.errors.OpError) as error:
            raise ConfigError(f"{newest}: does not fit this model ({str(error).splitlines()[0]})") from error
        return int(self._step.numpy())

    def save(self, step: int) -> None:
        """Saves a checkpoint; an earlier one is removed only after it is whole."""
        self._step.assign(step)
        try:
            self._manager.save(checkpoint_number=step)
        except tf.errors.OpError as error:
            message = str(error).splitlines()[0]
            raise OSError(
                f"{self._folder}: the checkpoint of step {step} was not saved ({message}); free some space"
            ) from error


def run_loop(
    trainer: Trainer,
    checkpoints: Checkpoints,
    batches: Iterator,
    config: LoopConfig,
    *,
    start_step: int,
    on_metrics: Callable[[int, dict[str, float]], None],
    on_checkpoint: Callable[[int], None],
    stop_requested: Callable[[], bool] = lambda: False,
) -> None:
    """Trains from `start_step` up to `total_steps`.

    Arguments:
      trainer: what to train.
      checkpoints: where its state is kept.
      batches: the batches from `start_step` on.
      config: lengths.
      start_step: the step that `checkpoints.restore` returned.
      on_metrics: called with (step, metrics) every `log_every` steps and at the end.
      on_checkpoint: called with the step after a checkpoint was saved.
      stop_requested: asked after every call; if true, a checkpoint is saved and `Preempted` raised.

    Raises:
      NonFiniteLoss: naming the step, the term and the last good checkpoint.
    """
    step = saved = start_step
    while step < config.total_steps:
        count = _steps_until_pause(step, config)
        losses = trainer.train_steps(batches, tf.constant(step, tf.int64), tf.constant(count, tf.int64))
        step += count
        metrics = {name: float(value) for name, value in losses.items()}
        _require_finite(metrics, step, saved)
        finished = step == config.total_steps
        if finished or step % config.log_every == 0:
            on_metrics(step, metrics)
        stop = stop_requested()
        if finished or stop or step % config.checkpoint_every == 0:
            checkpoints.save(step)
            saved = step
            on_checkpoint(step)
        if stop and not finished:
            raise Preempted(f"stopped at step {step}; a checkpoint was saved, start the same command again to go on")


def _steps_until_pause(step: int, config: LoopConfig) -> int:
    """Returns how many steps may run before something else is due."""
    pauses = (config.checkpoint_every, config.log_every)
    return min(config.steps_per_call, config.total_steps - step, *(pause - step % pause for pause in pauses))


def _require_finite(metrics: dict[str, float], step: int, saved: int) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise NonFiniteLoss(
                f"{name} is {value} at step {step}; the last good checkpoint is that of step {saved}. "
                "Lower the learning rate or change the seed, in a new workdir"
            )
