"""metrics.jsonl: one line a step logged; the same metrics go to TensorBoard."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tfrecords_tools.foundation.documents import json_values
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, is_file, read_text, write_atomically

METRICS_FILE, TENSORBOARD = "metrics.jsonl", "tensorboard"
TRACKER_FOLDER = "tracker"  # what an experiment tracker keeps on this machine
_SERIES, _STEP = "series", "step"


@dataclass(frozen=True)
class MetricsLine:
    """The metrics of a step by name; `series` tells what they are of, such as `gan` or `fold0`."""

    series: str
    step: int
    metrics: dict[str, float]

    def as_text(self) -> str:
        """Returns the line of the file."""
        return json.dumps(json_values({_SERIES: self.series, _STEP: self.step, **self.metrics})) + "\n"


class MetricsWriter:
    """Appends metrics to a workdir.

    Arguments:
      workdir: the folder of metrics.jsonl and of the TensorBoard files.
      series: name of what is trained, such as `gan` or `fold0`.
      start_step: later lines of this series, left by a run that was killed, are dropped.
    """

    def __init__(self, workdir: Path, series: str, start_step: int) -> None:
        self._workdir, self._series = workdir, series
        self.drop_after(start_step)
        self._summary = tf.summary.create_file_writer(str(workdir / TENSORBOARD / series))

    def drop_after(self, step: int) -> None:
        """Drops the lines of this series that are later than a step; whatever is killed meanwhile, no others."""
        kept = [line for line in read_metrics(self._workdir) if line.series != self._series or line.step <= step]
        write_atomically(self._workdir / METRICS_FILE, "".join(line.as_text() for line in kept))

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Appends the metrics of a step."""
        with open(self._workdir / METRICS_FILE, "a", encoding="utf-8") as file:
            file.write(MetricsLine(self._series, step, metrics).as_text())
        with self._summary.as_default(step=step):
            for name, value in metrics.items():
                tf.summary.scalar(name, value)
        self._summary.flush()


def read_metrics(workdir: AnyPath, series: str | None = None) -> list[MetricsLine]:
    """Returns the lines of metrics.jsonl, of all series or one; a last line that a kill cut off is left out.

    Raises:
      DataError: naming the first line that is damaged.
    """
    path = workdir / METRICS_FILE
    if not is_file(path):
        return []
    text = read_text(path)
    lines = text[: text.rfind("\n") + 1].splitlines()
    found = [_read_line(path, number, line) for number, line in enumerate(lines, start=1)]
    return [line for line in found if series in (None, line.series)]


def _read_line(path: AnyPath, number: int, line: str) -> MetricsLine:
    try:
        values = json.loads(line)
        return MetricsLine(values.pop(_SERIES), values.pop(_STEP), _numbers(values))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: line {number} is damaged ({error}); remove that line, or train again") from error


def _numbers(metrics: dict[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in metrics.items()}
