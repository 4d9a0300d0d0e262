"""Experiment trackers: they are shown the metrics of a run through their own packages.

metrics.jsonl is the record of a run, and a tracker has a copy of it: new lines are sent at every checkpoint, and
tracker.json tells up to where. So a tracker that cannot be reached costs a warning and nothing else, and what it lacks
is sent when the same command is started again, also after the end of the run. Settings and metrics are sent: no images,
no output, no code. A new tracker is one entry in TRACKERS, and its name in `TrackerSettings`.
"""

import contextlib
import logging as standard_logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from absl import logging

from pipelines.artefacts.metrics_file import METRICS_FILE, TRACKER_FOLDER, MetricsLine, read_metrics
from pipelines.contract.shared_settings import NO_TRACKER
from pipelines.contract.workdir import is_completed
from tfrecords_tools.foundation.documents import read_document, write_document
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, as_path, is_file

TRACKER_FILE = "tracker.json"
_PROJECT = "melgan"
_STEP = "step"
_PATIENCE = 20  # seconds
_LINES_AT_ONCE = 50  # after each, tracker.json tells that they have arrived


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
            logging.warning("--tracker=wandb: %s; the run is kept on this machine", _in_short(error))
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
                "--tracker=mlflow: it refuses the settings (%s), and has the metrics alone", _in_short(error)
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


class Tracking:
    """Keeps a tracker up to date with metrics.jsonl. It is opened when there is something to send.

    Arguments:
      tracker: its name.
      run: that it is told of.
      folder: of the run on this machine, where metrics.jsonl grows.
      workdir: of the run, the same or in a bucket; tracker.json lies here.
    """

    def __init__(self, tracker: str, run: TrackedRun, folder: Path, workdir: AnyPath) -> None:
        self._run, self._folder, self._workdir, self._path = run, folder, workdir, workdir / TRACKER_FILE
        self._state = _read_state(self._path, tracker)
        self._tracker: Tracker | None = None
        self._is_reachable = True

    def send(self) -> None:
        """Sends the lines that the tracker has not got; a tracker that fails once is not asked again."""
        if not self._lines() or not self._ask(lambda tracker: None):  # which opens it, maybe as a new run
            return
        lines = self._lines()
        for first in range(0, len(lines), _LINES_AT_ONCE):
            part = lines[first : first + _LINES_AT_ONCE]
            if not self._ask(partial(_log, lines=part)):
                return
            self._remember(sent=self._state.sent | {line.series: line.step for line in part}, is_complete=False)

    def close(self, is_complete: bool) -> None:
        """Tells the tracker how the run stands, if it does not know."""
        is_told = self._state.is_complete or not self._state.run
        if self._tracker is None and (is_told or not is_complete):
            return
        if self._ask(lambda tracker: tracker.close(is_complete)):
            self._remember(is_complete=is_complete)

    def _lines(self) -> list[MetricsLine]:
        """Returns the lines that are to be sent. A complete run may have been completed on another machine."""
        found = self._workdir if is_completed(self._workdir) else self._folder
        return [line for line in read_metrics(found) if line.step > self._state.sent.get(line.series, -1)]

    def _ask(self, question: Callable[[Tracker], None]) -> bool:
        """Returns whether the tracker could be asked. Whatever its package raises, the training goes on."""
        if not self._is_reachable:
            return False
        try:
            opened = self._tracker or TRACKERS[self._state.tracker](self._run, self._state)
        except Exception as error:
            return self._give_up(error)
        if self._tracker is None:
            self._tracker = opened
            sent = self._state.sent if opened.id == self._state.run else {}
            self._remember(run=opened.id, place=opened.place, sent=sent)
        try:
            question(opened)
        except Exception as error:
            return self._give_up(error)
        return True

    def _give_up(self, error: Exception) -> bool:
        self._is_reachable = False
        remedy = (
            getattr(error, "remedy", "") or "the same command sends them when it is started again, also after the end"
        )
        logging.warning(
            "--tracker=%s: %s; the run goes on, %s has all metrics, and %s",
            *(self._state.tracker, _in_short(error), self._workdir / METRICS_FILE, remedy),
        )
        return False

    def _remember(self, **changes: Any) -> None:
        changed = replace(self._state, **changes)
        if changed != self._state:
            self._state = changed
            write_document(self._path, changed)


@contextlib.contextmanager
def tracking(config: Any, command: str, folder: Path, *, writable: bool) -> Iterator[Callable[[], None]]:
    """Gives what sends the tracker of a run, if it has one, the lines of metrics that it has not got.

    The context ends with the last of them, unless it ends with an error.

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
    run = TrackedRun(name=workdir.name, command=command, settings=settings, folder=folder / TRACKER_FOLDER)
    kept = Tracking(config.tracker, run, folder, workdir)
    is_complete = False
    try:
        yield kept.send
        kept.send()
        is_complete = True
    finally:
        kept.close(is_complete)


def _log(tracker: Tracker, lines: Sequence[MetricsLine]) -> None:
    tracker.log(lines)


def _read_state(path: AnyPath, tracker: str) -> TrackerState:
    """Returns the state that earlier starts left at the same tracker."""
    if is_file(path):
        state = read_document(path, TrackerState, "remove it, and the tracker is sent a new run")
        if state.tracker == tracker:
            return state
    return TrackerState(tracker=tracker)


def _escaped(name: str) -> str:
    """Returns a name in letters that MLflow takes: of other letters the bytes, so that names stay apart."""
    return re.sub(r"[^\w\-. ]|[^\x00-\x7f]", lambda found: "".join(f"_{byte:02x}" for byte in found[0].encode()), name)


def _in_short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
