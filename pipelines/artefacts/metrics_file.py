"""metrics.jsonl: one line a step logged; the same figures go to TensorBoard."""

import json
from pathlib import Path

import tensorflow as tf

from tfrecords_tools.foundation.files import write_atomically

METRICS_FILE = "metrics.jsonl"


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
        self._summary = tf.summary.create_file_writer(str(workdir / "tensorboard" / series))

    def drop_after(self, step: int) -> None:
        """Drops the lines of this series that are later than a step; whatever is killed meanwhile, no others."""
        kept = [line for line in read_metrics(self._workdir) if line["series"] != self._series or line["step"] <= step]
        write_atomically(self._workdir / METRICS_FILE, "".join(json.dumps(line) + "\n" for line in kept))

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Appends the metrics of a step."""
        with open(self._workdir / METRICS_FILE, "a", encoding="utf-8") as file:
            file.write(json.dumps({"series": self._series, "step": step, **metrics}) + "\n")
        with self._summary.as_default(step=step):
            for name, value in metrics.items():
                tf.summary.scalar(name, value)
        self._summary.flush()


def read_metrics(workdir: Path) -> list[dict]:
    """Returns the lines of metrics.jsonl; a last line that a kill cut off is left out."""
    path = workdir / METRICS_FILE
    if not path.is_file():
        return []
    text = path.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
