"""The outer loop around any trainer: checkpoints, resume, metrics, preemption, and what follows a non-finite loss."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf
from absl import logging

from melgan.training.checkpoints import Checkpointed, Checkpoints
from melgan.training.stepping import Program
from tfrecords_tools.foundation.errors import ConfigError, Preempted

# Metrics of several steps: name -> float [num_steps].
Metrics = dict[str, np.ndarray]


class Trainer(Checkpointed, Protocol):
    """A model in training.

    `batches_per_step` is how many batches one step takes. With `max_rollbacks` a trainer also has `attempt`, an int32
    variable that is part of its checkpoints and of the seed of its random numbers.
    """

    batches_per_step: int

    def program_at(self, step: int) -> tuple[Program, int | None]:
        """Returns the program that takes steps from `step` on, and the first step of another program, None: never."""


class Callbacks(Protocol):
    """The surroundings of a training."""

    def batches_from(self, first_batch: int) -> Iterator:
        """Returns the endless stream of batches from a batch number on."""

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Takes metrics every `log_every` steps and at the end.

        They are means over the steps since the last call, the last checkpoint or the start, so that a run which resumes
        from a checkpoint gives the same.
        """

    def on_checkpoint(self, step: int) -> None:
        """Called after a checkpoint was saved."""

    def on_rollback(self, step: int) -> None:
        """Called with the step of the checkpoint that the training went back to."""

    def stop_requested(self) -> bool:
        """Asked after every call of a program; if true, a checkpoint is saved and `Preempted` raised."""


class NonFiniteLoss(ConfigError):
    """A loss or gradient that is not a number; training on would destroy the weights."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Lengths in steps. Several steps run per host call, never across a multiple of `log_every`.

    `max_rollbacks` tells how often the training may go back to the newest checkpoint, in all, when a metric is not
    finite; 0: it stops at once.
    """

    total_steps: int
    checkpoint_every: int
    log_every: int
    steps_per_call: int = 1
    max_rollbacks: int = 0


def run_loop(
    trainer: Trainer, checkpoints: Checkpoints, config: LoopConfig, callbacks: Callbacks, *, start_step: int
) -> None:
    """Trains from `start_step`, which `checkpoints.restore` returned, up to `total_steps`.

    With `max_rollbacks` a metric that is not finite takes the training back to the newest checkpoint, that of step 0
    if need be, and it resumes with the next `attempt`, which stands for other random numbers.

    Raises:
      NonFiniteLoss: naming the first step (counted from 1) and term that is not finite, and the last good checkpoint.
      Preempted: if it was asked to stop.
    """
    if config.max_rollbacks and start_step == 0:
        checkpoints.save(0)
    step, since_last_line = start_step, []
    batches = callbacks.batches_from(step * trainer.batches_per_step)
    while step < config.total_steps:
        program, changes_at = trainer.program_at(step)
        count = _steps_until_pause(step, config, changes_at)
        values = program(batches, tf.constant(step, tf.int64), tf.constant(count, tf.int64))
        metrics = {name: np.asarray(column) for name, column in values.items()}
        if failure := _first_non_finite(metrics, step):
            step, since_last_line = _roll_back(trainer, checkpoints, failure, config.max_rollbacks), []
            callbacks.on_rollback(step)
            batches = callbacks.batches_from(step * trainer.batches_per_step)
            continue
        since_last_line.append(metrics)
        step += count
        finished = step == config.total_steps
        if finished or step % config.log_every == 0:
            callbacks.on_metrics(step, _means(since_last_line))
            since_last_line = []
        stop = callbacks.stop_requested()
        if finished or stop or step % config.checkpoint_every == 0:
            checkpoints.save(step)
            callbacks.on_checkpoint(step)
            since_last_line = []
        if stop and not finished:
            raise Preempted(f"stopped at step {step}; a checkpoint was saved, start the same command again to resume")


def _steps_until_pause(step: int, config: LoopConfig, changes_at: int | None) -> int:
    """Returns how many steps may run before something else is due."""
    pauses = [pause - step % pause for pause in (config.checkpoint_every, config.log_every)]
    change = [] if changes_at is None else [changes_at - step]
    return min(config.steps_per_call, config.total_steps - step, *pauses, *change)


def _means(parts: list[Metrics]) -> dict[str, float]:
    """Returns the mean of each metric over all steps of some calls, however these were divided into calls."""
    return {name: float(np.mean(np.concatenate([part[name] for part in parts]), dtype=np.float64)) for name in parts[0]}


def _first_non_finite(metrics: Metrics, steps_before: int) -> str:
    """Returns term, value and step of the first metric that is not finite, as text; empty if all are."""
    broken = [(int(np.argmin(np.isfinite(v))), name) for name, v in metrics.items() if not np.isfinite(v).all()]
    if not broken:
        return ""
    offset, name = min(broken, key=lambda found: found[0])
    return f"{name} is {metrics[name][offset]} at step {steps_before + offset + 1}"


def _roll_back(trainer: Trainer, checkpoints: Checkpoints, failure: str, max_rollbacks: int) -> int:
    """Restores the newest checkpoint for the next attempt; returns its step.

    The attempt is counted from the one that failed, so that a second time back at a checkpoint draws new numbers.
    """
    newest = checkpoints.newest
    attempt = int(tf.convert_to_tensor(trainer.attempt)) + 1 if max_rollbacks else 1
    if attempt > max_rollbacks:
        tried = f" after {max_rollbacks} rollbacks" if max_rollbacks else ""
        raise NonFiniteLoss(
            f"{failure}{tried}; the last good checkpoint is {newest or 'none'}. "
            "Lower the learning rate or change the seed, in a new workdir"
        )
    step = checkpoints.restore()
    trainer.attempt.assign(attempt)
    logging.warning(
        "%s; back to %s, from where it resumes with other random numbers (attempt %d of %d)",
        *(failure, newest, attempt, max_rollbacks),
    )
    return step
