"""Experiment trackers: they are shown the metrics of a run through their own packages.

metrics.jsonl is the record of a run, and a tracker has a copy of it: new lines are sent at every checkpoint, and
tracker.json tells up to where. So a tracker that cannot be reached costs a warning and nothing else, and what it lacks
is sent when the same command is started again, also after the end of the run. Settings and metrics are sent: no images,
no output, no code. A new tracker is one entry in TRACKERS, and its name in `TrackerSettings`.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from absl import logging

from pipelines.artefacts.metrics_file import METRICS_FILE, TRACKER_FOLDER, MetricsLine, read_metrics
from pipelines.contract.shared_settings import NO_TRACKER
from tfrecords_tools.foundation.documents import read_document, write_document
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, as_path, is_file

TRACKER_FILE = "tracker.json"
_PROJECT = "melgan"
_STEP = "step"
_PATIENCE = 20  # seconds
_LINES_AT_ONCE = 50  # MLflow takes 1000 numbers in a request


class UnreachableTracker(Exception):
    """A tracker that does not answer, or refuses what it is sent; with its reason, in one line."""


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A run as a tracker is told of it.

    Attributes:
      name: of the folder.
      command: that it is a run of.
      settings: by name, as texts.
      folder: for the files of the tracker on this machine.
      id: that the tracker gave it at an earlier start; empty at the first.
    """

    name: str
    command: str
    settings: Mapping[str, str]
    folder: Path
    id: str


@dataclass(frozen=True, kw_only=True)
class TrackerState:
    """The state of a run at a tracker, in tracker.json: `sent` is the last step of each series that it has got."""

    tracker: str
    run: str = ""
    sent: dict[str, int] = field(default_factory=dict)


class Tracker(Protocol):
    """A run at a tracker.

    Attributes:
      id: that the tracker gave it.
    """

    id: str

    def log(self, lines: Sequence[MetricsLine]) -> None:
        """Sends lines of metrics; raises `UnreachableTracker`."""

    def close(self, is_complete: bool) -> None:
        """Ends the connection, of a run that is complete or will go on; raises `UnreachableTracker`."""


class WandbTracker:
    """A run at Weights & Biases; without a key or a connection it is kept on this machine, to be sent by `wandb sync`.

    WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE and WANDB_BASE_URL count, as always.
    """

    def __init__(self, run: TrackedRun) -> None:
        import wandb

        self._wandb = wandb
        run.folder.mkdir(parents=True, exist_ok=True)
        has_key = bool(os.environ.get("WANDB_MODE")) or wandb.login(prompt=False, verify=False)
        try:
            self._run = self._open(run, None if has_key else "offline")
        except wandb.Error as error:
            logging.warning("--tracker=wandb: %s; the run is kept on this machine", _in_short(error))
            self._run = self._open(run, "offline")
        self._run.define_metric("*", step_metric=_STEP)
        self.id = self._run.id
        where = (
            self._run.url if not self._run.offline else f"offline; `wandb sync {Path(self._run.dir).parent}` sends it"
        )
        logging.info("wandb: %s", where)

    def _open(self, run: TrackedRun, mode: str | None) -> Any:
        quiet = {"silent": True, "console": "off", "init_timeout": _PATIENCE, "host": ""}
        private = {"disable_git": True, "disable_code": True, "x_save_requirements": False}
        machine = {"x_disable_stats": True, "x_disable_meta": True, "x_disable_machine_info": True}
        return self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            name=run.name,
            job_type=run.command,
            id=run.id or None,
            resume="allow" if run.id and mode != "offline" else None,
            dir=str(run.folder),
            config=dict(run.settings),
            mode=mode,
            settings=self._wandb.Settings(**quiet, **private, **machine),
        )

    def log(self, lines: Sequence[MetricsLine]) -> None:
        """Sends lines of metrics, or keeps them on this machine."""
        for line in lines:
            metrics = {f"{line.series}/{name}": value for name, value in line.metrics.items()}
            self._run.log({_STEP: line.step, **metrics})

    def close(self, is_complete: bool) -> None:
        """Ends the connection."""
        self._run.finish(exit_code=0 if is_complete else 1)


class MlflowTracker:
    """A run at MLflow: at MLFLOW_TRACKING_URI, or in files on this machine, in MLFLOW_EXPERIMENT_NAME."""

    def __init__(self, run: TrackedRun) -> None:
        for name, value in {"MAX_RETRIES": "2", "TIMEOUT": str(_PATIENCE)}.items():  # by default it tries for minutes
            os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        import mlflow

        self._mlflow = mlflow
        address = os.environ.get("MLFLOW_TRACKING_URI") or (run.folder.absolute() / "mlruns").as_uri()
        self._client = mlflow.MlflowClient(tracking_uri=address)
        with self._reachable():
            self.id = run.id or self._create(run)
            self._client.update_run(self.id, status="RUNNING")
        logging.info("mlflow: run %s at %s", self.id, address)

    def _create(self, run: TrackedRun) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        created = self._client.create_run(experiment, run_name=run.name, tags={"command": run.command})
        params = [self._mlflow.entities.Param(name, value) for name, value in run.settings.items()]
        self._client.log_batch(created.info.run_id, params=params)
        return created.info.run_id

    def log(self, lines: Sequence[MetricsLine]) -> None:
        """Sends lines of metrics."""
        now = int(time.time() * 1000)
        metrics = [
            self._mlflow.entities.Metric(_mlflow_name(f"{line.series}/{name}"), value, now, line.step)
            for line in lines
            for name, value in line.metrics.items()
        ]
        with self._reachable():
            self._client.log_batch(self.id, metrics=metrics)

    def close(self, is_complete: bool) -> None:
        """Tells how the run stands."""
        with self._reachable():
            self._client.set_terminated(self.id, "FINISHED" if is_complete else "KILLED")

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except self._mlflow.exceptions.MlflowException as error:
            raise UnreachableTracker(_in_short(error)) from error


# Name -> what opens a run there; the package is of the same name.
TRACKERS: dict[str, Callable[[TrackedRun], Tracker]] = {"wandb": WandbTracker, "mlflow": MlflowTracker}


class Tracking:
    """Keeps a tracker up to date with metrics.jsonl.

    Arguments:
      tracker: its name.
      folder: of the run on this machine.
      workdir: of the run, the same or in a bucket, where tracker.json lies.
      describe: from the id of an earlier start, empty at the first, to the run.
    """

    def __init__(self, tracker: str, folder: Path, workdir: AnyPath, describe: Callable[[str], TrackedRun]) -> None:
        self._folder, self._workdir, self._path, self._describe = folder, workdir, workdir / TRACKER_FILE, describe
        self._state = _read_state(self._path, tracker)
        self._tracker: Tracker | None = None
        self._is_reachable = True

    def send(self) -> None:
        """Sends the lines that the tracker has not got; a tracker that fails once is not asked again."""
        found = self._folder if is_file(self._folder / METRICS_FILE) else self._workdir
        lines = [line for line in read_metrics(found) if line.step > self._state.sent.get(line.series, -1)]
        if lines:
            self._ask(lambda tracker: self._log(tracker, lines))

    def close(self, is_complete: bool) -> None:
        """Ends the connection, if there is one."""
        if self._tracker is not None:
            self._ask(lambda tracker: tracker.close(is_complete))

    def _log(self, tracker: Tracker, lines: Sequence[MetricsLine]) -> None:
        for first in range(0, len(lines), _LINES_AT_ONCE):
            part = lines[first : first + _LINES_AT_ONCE]
            tracker.log(part)
            sent = self._state.sent | {line.series: line.step for line in part}
            self._state = replace(self._state, run=tracker.id, sent=sent)
            write_document(self._path, self._state)

    def _ask(self, question: Callable[[Tracker], None]) -> None:
        if not self._is_reachable:
            return
        try:
            if self._tracker is None:
                self._tracker = TRACKERS[self._state.tracker](self._describe(self._state.run))
            question(self._tracker)
        except UnreachableTracker as error:
            self._is_reachable = False
            logging.warning(
                "--tracker=%s: %s; the run goes on, %s has all metrics, and the same command sends them when it is "
                "started again, also after the end",
                *(self._state.tracker, error, self._workdir / METRICS_FILE),
            )


@contextlib.contextmanager
def tracking(config: Any, command: str, folder: Path, *, writable: bool) -> Iterator[Callable[[], None]]:
    """Gives what sends the tracker of a run, if it has one, the lines of metrics that it has not got.

    Arguments:
      config: settings of the command, with `tracker` and `workdir` among them.
      command: its name.
      folder: of the run on this machine.
      writable: False for workers beside the chief, which send nothing.

    Raises:
      CommandError: if the package of the tracker is not installed.
    """
    if config.tracker == NO_TRACKER or not writable:
        yield lambda: None
        return
    if find_spec(config.tracker) is None:
        raise CommandError(
            f"--tracker={config.tracker} needs the package {config.tracker}: pip install 'melgan[{config.tracker}]'"
        )
    workdir = as_path(config.workdir)
    settings = {name: str(value) for name, value in vars(config).items()}

    def describe(run_id: str) -> TrackedRun:
        own = folder / TRACKER_FOLDER
        return TrackedRun(name=workdir.name, command=command, settings=settings, folder=own, id=run_id)

    kept = Tracking(config.tracker, folder, workdir, describe)
    is_complete = False
    try:
        yield kept.send
        is_complete = True
    finally:
        kept.close(is_complete)


def _read_state(path: AnyPath, tracker: str) -> TrackerState:
    """Returns the state that earlier starts left at the same tracker."""
    if is_file(path):
        state = read_document(path, TrackerState, "remove it, and the tracker is sent a new run")
        if state.tracker == tracker:
            return state
    return TrackerState(tracker=tracker)


def _mlflow_name(name: str) -> str:
    return re.sub(r"[^\w\-. /:]", "_", name)


def _in_short(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
