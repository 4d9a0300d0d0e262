"""Experiment trackers: they are shown the metrics of a run through their own packages.

Settings and metrics are sent: no images, no output, no code. A new tracker is one entry in TRACKERS, and its name in
`TrackerSettings`.
"""

import logging as standard_logging
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from absl import logging

from pipelines.artefacts.metrics_file import MetricsLine

_PROJECT = "melgan"
_STEP = "step"
_PATIENCE = 20  # seconds


class UnreachableTracker(Exception):
    """A tracker that cannot be used; with its reason, and its remedy if it has one of its own."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy


@dataclass(frozen=True, kw_only=True)
class TrackerState:
    """The state of a run at a tracker, in tracker.json.

    Attributes:
      tracker: its name.
      run: that it gave the run as its id; empty before the first start.
      place: the address where it has the run.
      sent: the last step of each series that it has got.
      is_complete: whether it knows that the run is complete.
    """

    tracker: str
    run: str = ""
    place: str = ""
    sent: dict[str, int] = field(default_factory=dict)
    is_complete: bool = False


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A run as a tracker is told of it.

    Attributes:
      name: of the folder.
      command: that it is a run of.
      settings: by name, as texts.
      folder: for the files of the tracker on this machine.
    """

    name: str
    command: str
    settings: Mapping[str, str]
    folder: Path


class Tracker(Protocol):
    """A run at a tracker: the one of an earlier start if it still is there, or a new one.

    Attributes:
      id: that the tracker gave it.
      place: the address of the tracker.
    """

    id: str
    place: str

    def log(self, lines: Sequence[MetricsLine]) -> None:
        """Sends lines of metrics."""

    def close(self, is_complete: bool) -> None:
        """Ends the connection, of a run that is complete or will go on."""


class WandbTracker:
    """A run at Weights & Biases; without a key or a connection it is kept on this machine, to be sent by `wandb sync`.

    WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE and WANDB_BASE_URL count, as always.
    """

    place = ""  # runs of an id are one run, wherever they are sent from

    def __init__(self, run: TrackedRun, state: TrackerState) -> None:
        import wandb

        standard_logging.getLogger("wandb").setLevel(standard_logging.CRITICAL)  # it logs what it raises
        self._wandb = wandb
        run.folder.mkdir(parents=True, exist_ok=True)
        try:
            has_key = bool(os.environ.get("WANDB_MODE")) or wandb.login(prompt=False, verify=False)
            self._run = self._open(run, state.run, None if has_key else "offline")
        except wandb.Error as error:
            logging.warning("--tracker=wandb: %s; the run is kept on this machine", in_short(error))
            self._run = self._open(run, state.run, "offline")
        if self._run.disabled:
            raise UnreachableTracker("WANDB_MODE is disabled")
        self._run.define_metric("*", step_metric=_STEP)
        self.id = self._run.id
        self._sync = f"`wandb sync {Path(self._run.dir).parent}` sends it"
        logging.info("wandb: %s", f"offline; {self._sync}" if self._run.offline else self._run.url)

    def _open(self, run: TrackedRun, run_id: str, mode: str | None) -> Any:
        quiet = {"silent": True, "console": "off", "host": ""}
        patience = {"init_timeout": _PATIENCE, "finish_timeout": _PATIENCE, "finish_timeout_raises": True}
        private = {"disable_git": True, "disable_code": True, "x_save_requirements": False}
        machine = {"x_disable_stats": True, "x_disable_meta": True, "x_disable_machine_info": True}
        return self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            name=run.name,
            job_type=run.command,
            id=run_id or None,
            resume="allow" if run_id else None,
            dir=str(run.folder),
            config=dict(run.settings),
            mode=mode,
            settings=self._wandb.Settings(**quiet, **patience, **private, **machine),
        )

    def log(self, lines: Sequence[MetricsLine]) -> None:
        """Sends lines of metrics, or keeps them on this machine."""
        for line in lines:
            metrics = {f"{line.series}/{name}": value for name, value in line.metrics.items()}
            self._run.log({_STEP: line.step, **metrics})

    def close(self, is_complete: bool) -> None:
        """Ends the connection; raises `UnreachableTracker` where not all has arrived in time."""
        try:
            self._run.finish(exit_code=0 if is_complete else 1)
        except TimeoutError as error:
            raise UnreachableTracker("it does not answer", remedy=self._sync) from error


class MlflowTracker:
    """A run at MLflow: at MLFLOW_TRACKING_URI, or in files on this machine, in MLFLOW_EXPERIMENT_NAME."""

    def __init__(self, run: TrackedRun, state: TrackerState) -> None:
        for name, value in {"MAX_RETRIES": "2", "TIMEOUT": str(_PATIENCE)}.items():  # by default it tries for minutes
            os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        import mlflow

        self._mlflow = mlflow
        self.place = os.environ.get("MLFLOW_TRACKING_URI") or (run.folder.absolute() / "mlruns").as_uri()
        self._client = mlflow.MlflowClient(tracking_uri=self.place)
        self.id = state.run if self._has(state) else self._create(run)
        self._client.update_run(self.id, status="RUNNING")
        logging.info("mlflow: run %s at %s", self.id, self.place)

    def _has(self, state: TrackerState) -> bool:
        if not state.run or state.place != self.place:
            return False
        try:
            return self._client.get_run(state.run).info.lifecycle_stage == "active"
        except self._mlflow.exceptions.MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def _create(self, run: TrackedRun) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        created = self._client.create_run(experiment, run_name=run.name, tags={"command": run.command})
        params = [self._mlflow.entities.Param(name, value) for name, value in run.settings.items()]
        try:
            self._client.log_batch(created.info.run_id, params=params)
        except self._mlflow.exceptions.MlflowException as error:
            logging.warning(
                "--tracker=mlflow: it refuses the settings (%s), and has the metrics alone", in_short(error)
            )
        return created.info.run_id

    def log(self, lines: Sequence[MetricsLine]) -> None:
        """Sends lines of metrics."""
        now = int(time.time() * 1000)
        metrics = [
            self._mlflow.entities.Metric(f"{_escaped(line.series)}/{_escaped(name)}", value, now, line.step)
            for line in lines
            for name, value in line.metrics.items()
        ]
        self._client.log_batch(self.id, metrics=metrics)

    def close(self, is_complete: bool) -> None:
        """Tells how the run stands."""
        self._client.set_terminated(self.id, "FINISHED" if is_complete else "KILLED")


# Name -> what opens a run there; the package is of the same name.
TRACKERS: dict[str, Callable[[TrackedRun, TrackerState], Tracker]] = {"wandb": WandbTracker, "mlflow": MlflowTracker}


def _escaped(name: str) -> str:
    """Returns a name in letters that MLflow takes: of other letters the bytes, so that names stay apart."""
    return re.sub(r"[^\w\-. ]|[^\x00-\x7f]", lambda found: "".join(f"_{byte:02x}" for byte in found[0].encode()), name)


def in_short(error: Exception) -> str:
    """Returns the first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
