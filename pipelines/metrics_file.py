"""metrics.jsonl: one line a step logged; the same figures go to TensorBoard."""

import json
from pathlib import Path

import tensorflow as tf

METRICS_FILE = "metrics.jsonl"


class MetricsWriter:
    """Appends metrics to a workdir.

    Arguments:
      workdir: the folder of metrics.jsonl and of the TensorBoard files.
      series: name of what is trained, such as `gan` or `fold0`.
      start_step: later lines of this series, left by a run that was killed, are dropped.
    """

    def __init__(self, workdir: Path, series: str, start_step: int) -> None:
        self._path, self._series = workdir / METRICS_FILE, series
        kept = [line for line in read_metrics(workdir) if line["series"] != series or line["step"] <= start_step]
        self._path.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self._summary = tf.summary.create_file_writer(str(workdir / "tensorboard" / series))

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Appends the metrics of a step."""
        with open(self._path, "a", encoding="utf-8") as file:
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
