"""Checkpoints of one training: whole or not counted, of this model or refused."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf

from melgan.training.distribution import is_chief, own_folder
from tfrecords_tools.foundation.documents import read_plain
from tfrecords_tools.foundation.errors import ConfigError
from tfrecords_tools.foundation.files import write_atomically
from tfrecords_tools.foundation.settings import current_names, differences, path_settings, setting_of

MODEL_FILE = "model.json"
_STATE_FILE = "checkpoint"  # by which tf.train.latest_checkpoint finds the newest
_UNFINISHED = "unfinished"
_NAME = re.compile(r"ckpt-(\d+)\.(index|data-\d+-of-\d+)")


class Checkpointed(Protocol):
    """An object whose state checkpoints can hold."""

    @property
    def checkpointed(self) -> dict:
        """The contents of a checkpoint by name: models, optimizers, variables."""

    @property
    def checkpointed_by_device(self) -> dict:
        """More of them, lists of variables by name: what only some devices need, and a checkpoint may lack."""


@dataclass(frozen=True)
class Model:
    """The network that checkpoints belong to: its settings, a dataclass, and the names of its classes."""

    settings: Any
    classes: tuple[str, ...]

    def as_plain(self) -> dict[str, Any]:
        """Returns it as JSON holds it."""
        return {**json.loads(json.dumps(asdict(self.settings))), "classes": list(self.classes)}

    def differences_from(self, found: Mapping[str, Any]) -> str:
        """Returns, as text, how the model of some checkpoints, as JSON holds it, differs from this one."""
        kind = type(self.settings)
        return differences(_without_paths(kind, current_names(kind, found)), _without_paths(kind, self.as_plain()))


class Checkpoints:
    """The checkpoints of one training in a folder; the last `keep` of them stay.

    A checkpoint is `ckpt-<step>.data-*` and `ckpt-<step>.index`. They are written in a folder aside and then given
    their names, the index last; what a kill left without an index does not count, and is removed when the next one
    is saved. A checkpoint holds tensors only: restoring runs no code from a file.

    Every worker must save, because the variables may be spread over workers; those that are not the chief write to
    a folder of their own, which only they read.

    Arguments:
      folder: where they lie.
      trainer: whose state they hold.
      strategy: under which it trains.
      model: that the checkpoints belong to. It is written to model.json before the first checkpoint, and must be the
        same when one is restored. None: not compared.
      keep: how many stay.
    """

    def __init__(
        self,
        folder: Path,
        trainer: Checkpointed,
        strategy: tf.distribute.Strategy,
        *,
        model: Model | None = None,
        keep: int = 2,
    ) -> None:
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._trainer = trainer
        self._checkpoint = self._checkpoint_with(trainer.checkpointed_by_device)
        self._chief = is_chief(strategy)
        self._folder, self._keep = folder, keep
        self._own = folder / own_folder(strategy)
        self._model = model

    @property
    def newest(self) -> Path | None:
        """The newest whole checkpoint, the chief's on every worker: its path without endings; None if there is none."""
        steps = whole_steps(self._folder)
        return _prefix(self._folder, steps[-1]) if steps else None

    def restore(self) -> int:
        """Restores the newest checkpoint; returns its step, 0 if there is none.

        Raises:
          ConfigError: if it belongs to another model, naming what differs, or is damaged.
          DataError: if model.json is damaged.
        """
        newest = self.newest
        if newest is None:
            return 0
        self._require_same_model()
        try:
            names = {key.partition("/")[0] for key, _ in tf.train.list_variables(str(newest))}
            by_device = self._trainer.checkpointed_by_device
            there = {name: variables for name, variables in by_device.items() if name in names}
            status = self._checkpoint_with(there).read(str(newest))
            status.assert_existing_objects_matched().expect_partial()  # another device's part may be left over
        except (AssertionError, ValueError, tf.errors.InvalidArgumentError) as error:
            raise ConfigError(f"{newest}: does not fit this model ({_first_line(error)})") from error
        except (IndexError, tf.errors.OpError) as error:
            raise ConfigError(
                f"{newest}: damaged ({_first_line(error)}); remove {newest.name}.* to resume from the one before"
            ) from error
        return int(self._step.numpy())

    def save(self, step: int) -> None:
        """Saves a checkpoint; an earlier one is removed only after it is whole.

        Raises:
          OSError: if it cannot be written; the earlier ones are still there.
        """
        self._step.assign(step)
        try:
            self._write_model()
            self._write_checkpoint(step)
            kept = whole_steps(self._own)[-self._keep :]
            write_atomically(self._own / _STATE_FILE, _state(kept))
        except (OSError, tf.errors.OpError) as error:
            _remove_all_but(whole_steps(self._own), self._own)
            raise OSError(
                f"{self._folder}: the checkpoint of step {step} was not saved ({_first_line(error)}); "
                "free some space, then start the same command again"
            ) from error
        _remove_all_but(kept, self._own)

    def _checkpoint_with(self, by_device: dict) -> tf.train.Checkpoint:
        return tf.train.Checkpoint(step=self._step, **self._trainer.checkpointed, **by_device)

    def _write_model(self) -> None:
        self._own.mkdir(parents=True, exist_ok=True)
        if not self._chief or self._model is None:
            return
        path, text = self._folder / MODEL_FILE, json.dumps(self._model.as_plain(), indent=1) + "\n"
        if not (path.is_file() and path.read_text("utf-8") == text):
            write_atomically(path, text)

    def _write_checkpoint(self, step: int) -> None:
        """Writes the files aside, because TensorFlow writes the index in place, where a kill could cut it off."""
        aside = self._own / _UNFINISHED
        shutil.rmtree(aside, ignore_errors=True)
        self._checkpoint.write(str(_prefix(aside, step)))
        (self._own / f"ckpt-{step}.index").unlink(missing_ok=True)  # of an earlier checkpoint of the same step
        for path in sorted(aside.iterdir()):  # the index comes after the data
            with open(path, "rb") as file:
                os.fsync(file.fileno())
            path.replace(self._own / path.name)
        aside.rmdir()

    def _require_same_model(self) -> None:
        if self._model is None:
            return
        path = self._folder / MODEL_FILE
        if not path.is_file():
            raise ConfigError(f"{self._folder}: no {MODEL_FILE} tells what these checkpoints belong to; remove them")
        others = self._model.differences_from(read_plain(path, f"remove {self._folder} to train anew"))
        if others:
            raise ConfigError(
                f"{self._folder}: checkpoints of another model ({others}); resume with that one, or choose another "
                "workdir"
            )


def _without_paths(kind: type, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings but for paths of what is read, which counts by its contents, wherever it lies."""
    words = {name: setting_of(kind, name).words for name in path_settings(kind)}
    return {name: value for name, value in settings.items() if name not in words or value in words[name]}


def whole_steps(folder: Path) -> list[int]:
    """Returns the steps of the whole checkpoints in a folder, in order; none if there is no such folder."""
    steps = {_step_of(path) for path in folder.glob("ckpt-*.index")} - {None}
    return sorted(step for step in steps if _has_data(folder, step))


def checkpoint_of_step(folder: Path, step: int) -> Path | None:
    """Returns the checkpoint of a step in a folder: its path without endings; None if there is no whole one."""
    return _prefix(folder, step) if step in whole_steps(folder) else None


def _has_data(folder: Path, step: int) -> bool:
    """Returns whether all data files of a checkpoint are there; their names end in `-of-<how many>`."""
    files = list(folder.glob(f"ckpt-{step}.data-*"))
    return bool(files) and len(files) == int(files[0].name.rsplit("-", 1)[1])


def _prefix(folder: Path, step: int) -> Path:
    return folder / f"ckpt-{step}"


def _step_of(path: Path) -> int | None:
    """Returns the step whose checkpoint, whole or not, a file is part of; None for all other files."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _state(steps: list[int]) -> str:
    lines = [f'model_checkpoint_path: "ckpt-{steps[-1]}"', *(f'all_model_checkpoint_paths: "ckpt-{n}"' for n in steps)]
    return "\n".join(lines) + "\n"


def _remove_all_but(steps: list[int], folder: Path) -> None:
    """Removes other checkpoints, whole or not; first what makes one count."""
    others = [path for path in folder.glob("ckpt-*") if _step_of(path) not in (None, *steps)]
    for path in sorted(others, key=lambda path: path.suffix != ".index"):
        path.unlink()
    shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)
