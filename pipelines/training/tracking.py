"""Keeps an experiment tracker up to date with metrics.jsonl, which is the record of a run.

New lines are sent at every checkpoint, and tracker.json tells up to where. So a tracker that cannot be reached costs a
warning and nothing else, and what it lacks is sent when the same command is started again, also after the end.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from absl import logging

from pipelines.artefacts.metrics_file import METRICS_FILE, TRACKER_FOLDER, MetricsLine, read_metrics
from pipelines.contract.shared_settings import NO_TRACKER
from pipelines.contract.workdir import is_completed
from pipelines.training.trackers import TRACKERS, TrackedRun, Tracker, TrackerState, in_short
from tfrecords_tools.foundation.documents import read_document, write_document
from tfrecords_tools.foundation.errors import CommandError, UserError
from tfrecords_tools.foundation.files import AnyPath, as_path, is_file

TRACKER_FILE = "tracker.json"
_LINES_AT_ONCE = 50  # after each, tracker.json tells that they have arrived


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


class Tracking:
    """The metrics of a run on their way to a tracker, which is opened when there is something to send.

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
        """Sends the lines that the tracker has not got."""
        if not (self._is_reachable and self._lines()):
            return
        with self._told_in_one_line():
            tracker = self._open()
            lines = self._lines()  # all of them, where the run is a new one
            for first in range(0, len(lines), _LINES_AT_ONCE):
                part = lines[first : first + _LINES_AT_ONCE]
                tracker.log(part)
                self._remember(sent=self._state.sent | {line.series: line.step for line in part}, is_complete=False)

    def close(self, is_complete: bool) -> None:
        """Tells the tracker how the run stands, if it does not know."""
        is_news = is_complete and self._state.run and not self._state.is_complete
        if not (self._is_reachable and (self._tracker or is_news)):
            return
        with self._told_in_one_line():
            self._open().close(is_complete)
            self._remember(is_complete=is_complete)

    def _lines(self) -> list[MetricsLine]:
        """Returns the lines that are to be sent. A complete run may have been completed on another machine."""
        found = self._workdir if is_completed(self._workdir) else self._folder
        return [line for line in read_metrics(found) if line.step > self._state.sent.get(line.series, -1)]

    def _open(self) -> Tracker:
        if self._tracker is None:
            self._tracker = TRACKERS[self._state.tracker](self._run, self._state)
            sent = self._state.sent if self._tracker.id == self._state.run else {}
            self._remember(run=self._tracker.id, place=self._tracker.place, sent=sent)
        return self._tracker

    @contextlib.contextmanager
    def _told_in_one_line(self) -> Iterator[None]:
        """Lets no error of a package that is not ours end a training; after one, the tracker is not asked again."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            self._is_reachable = False
            remedy = getattr(error, "remedy", "") or "the same command sends them when it is started again"
            logging.warning(
                "--tracker=%s: %s; the run goes on, %s has all metrics, and %s",
                *(self._state.tracker, in_short(error), self._workdir / METRICS_FILE, remedy),
            )

    def _remember(self, **changes: Any) -> None:
        changed = replace(self._state, **changes)
        if changed != self._state:
            self._state = changed
            write_document(self._path, changed)


def _read_state(path: AnyPath, tracker: str) -> TrackerState:
    """Returns the state that earlier starts left at the same tracker."""
    if is_file(path):
        state = read_document(path, TrackerState, "remove it, and the tracker is sent a new run")
        if state.tracker == tracker:
            return state
    return TrackerState(tracker=tracker)
