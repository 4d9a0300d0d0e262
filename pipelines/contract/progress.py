"""Progress of long work: one changing line on a terminal, a plain log line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from absl import logging

from tfrecords_tools.foundation.texts import in_one_line

Item = TypeVar("Item")

_TERMINAL_SECONDS, _LOG_SECONDS = 0.2, 10.0


class Progress:
    """Tells how much is done, how fast, and how much time is left."""

    def __init__(self, title: str, total: int, unit: str, start: int = 0) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._start, self._began = start, time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._shown = self._began

    def update(self, done: int, note: str = "") -> None:
        """Shows that `done` of the total is done, if it is time to; `note` follows the numbers."""
        now = time.monotonic()
        finished = done >= self._total
        if not finished and now - self._shown < (_TERMINAL_SECONDS if self._terminal else _LOG_SECONDS):
            return
        self._shown = now
        line = in_one_line(self._line(done, now, note))
        if self._terminal:
            print(f"\r\x1b[2K{line}", end="\n" if finished else "", file=sys.stderr, flush=True)
        else:
            logging.info("%s", line)

    def _line(self, done: int, now: float, note: str) -> str:
        rate = (done - self._start) / max(now - self._began, 1e-9)
        left = (self._total - done) / rate if rate else float("inf")
        speed = f"{rate:.1f} {self._unit}/s" if rate >= 1 or not rate else f"{1 / rate:.1f} s/{self._unit.rstrip('s')}"
        remaining = "" if done >= self._total else f", {format_seconds(left)} left"
        return f"{self._title}: {done}/{self._total} {self._unit}, {speed}{remaining}{'  ' + note if note else ''}"


def counted(items: Iterable[Item], title: str, total: int, unit: str) -> Iterator[Item]:
    """Yields items, and shows how many of a total have been taken."""
    progress = Progress(title, total, unit)
    for done, item in enumerate(items, start=1):
        yield item
        progress.update(done)


def format_seconds(seconds: float) -> str:
    """Returns a duration such as 45s, 3m20s or 2h05m."""
    if seconds == float("inf"):
        return "unknown time"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
