"""The outer loop around any trainer: checkpoints, resume, metrics, preemption, and what follows a loss gone wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf
from absl import logging

from melgan.training.checkpoints import Checkpointed, Checkpoints
from tfrecords_tools.foundation.errors import ConfigError, Preempted

# Step values of metrics: name -> float [num_steps].
Metrics = dict[str, np.ndarray]


class Trainer(Checkpointed, Protocol):
    """What the loop drives.

    `batches_per_step` is how many batches one step takes. With `max_rollbacks` a trainer also has `attempt`, an int32
    variable that is part of its checkpoints and of the seed of its random numbers.
    """

    batches_per_step: int

    def train_steps(self, batches: Iterator, step: tf.Tensor, num_steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes `num_steps` steps from step number `step`; returns the metrics of each, by name: `[num_steps]`."""


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
    trainer: Trainer,
    checkpoints: Checkpoints,
    batches_from: Callable[[int], Iterator],
    config: LoopConfig,
    *,
    start_step: int,
    on_metrics: Callable[[int, dict[str, float]], None],
    on_checkpoint: Callable[[int], None],
    on_rollback: Callable[[int], None] = lambda step: None,
    stop_requested: Callable[[], bool] = lambda: False,
) -> None:
    """Trains from `start_step` up to `total_steps`.

    With `max_rollbacks` a metric that is not finite takes the training back to the newest checkpoint, that of step 0
    if need be, from where it goes on with the next `attempt`, which stands for other random numbers.

    Arguments:
      trainer: what to train.
      checkpoints: where its state is kept.
      batches_from: returns the endless stream of batches from a batch number on.
      config: lengths.
      start_step: the step that `checkpoints.restore` returned.
      on_metrics: called with (step, metrics) every `log_every` steps and at the end. Metrics are means over the steps
        since the last call, the last checkpoint or the start, so that a run which goes on from a checkpoint gives
        the same.
      on_checkpoint: called with the step after a checkpoint was saved.
      on_rollback: called with the step of the checkpoint that the training went back to.
      stop_requested: asked after every call; if true, a checkpoint is saved and `Preempted` raised.

    Raises:
      NonFiniteLoss: naming the first step (counted from 1) and term that is not finite, and the last good checkpoint.
    """
    if config.max_rollbacks and start_step == 0:
        checkpoints.save(0)
    while True:
        try:
            _train(
                trainer,
                checkpoints,
                batches_from(start_step * trainer.batches_per_step),
                config,
                start_step=start_step,
                on_metrics=on_metrics,
                on_checkpoint=on_checkpoint,
                stop_requested=stop_requested,
            )
            return
        except _NonFinite as failure:
            start_step = _roll_back(trainer, checkpoints, failure, config.max_rollbacks)
            on_rollback(start_step)


def _train(
    trainer: Trainer,
    checkpoints: Checkpoints,
    batches: Iterator,
    config: LoopConfig,
    *,
    start_step: int,
    on_metrics: Callable[[int, dict[str, float]], None],
    on_checkpoint: Callable[[int], None],
    stop_requested: Callable[[], bool],
) -> None:
    step, since_last_line = start_step, []
    while step < config.total_steps:
        count = _steps_until_pause(step, config)
        metrics = trainer.train_steps(batches, tf.constant(step, tf.int64), tf.constant(count, tf.int64))
        since_last_line.append({name: np.asarray(values) for name, values in metrics.items()})
        _require_finite(since_last_line[-1], step)
        step += count
        finished = step == config.total_steps
        if finished or step % config.log_every == 0:
            on_metrics(step, _means(since_last_line))
            since_last_line = []
        stop = stop_requested()
        if finished or stop or step % config.checkpoint_every == 0:
            checkpoints.save(step)
            on_checkpoint(step)
            since_last_line = []
        if stop and not finished:
            raise Preempted(f"stopped at step {step}; a checkpoint was saved, start the same command again to go on")


def _steps_until_pause(step: int, config: LoopConfig) -> int:
    """Returns how many steps may run before something else is due."""
    pauses = (config.checkpoint_every, config.log_every)
    return min(config.steps_per_call, config.total_steps - step, *(pause - step % pause for pause in pauses))


def _means(parts: list[Metrics]) -> dict[str, float]:
    """Returns the mean of each metric over all steps of some calls, however these were divided into calls."""
    return {name: float(np.mean(np.concatenate([part[name] for part in parts]), dtype=np.float64)) for name in parts[0]}


class _NonFinite(Exception):
    """The first metric that is not finite; its message names term, value and step."""


def _require_finite(metrics: Metrics, steps_before: int) -> None:
    broken = [(int(np.argmin(np.isfinite(v))), name) for name, v in metrics.items() if not np.isfinite(v).all()]
    if broken:
        offset, name = min(broken, key=lambda found: found[0])
        raise _NonFinite(f"{name} is {metrics[name][offset]} at step {steps_before + offset + 1}")


def _roll_back(trainer: Trainer, checkpoints: Checkpoints, failure: _NonFinite, max_rollbacks: int) -> int:
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
        ) from None
    step = checkpoints.restore()
    trainer.attempt.assign(attempt)
    logging.warning(
        "%s; back to %s, from where it goes on with other random numbers (attempt %d of %d)",
        failure,
        newest,
        attempt,
        max_rollbacks,
    )
    return step
