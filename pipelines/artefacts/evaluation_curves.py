"""Metrics of a GAN in training, as lines of metrics.jsonl."""

from collections.abc import Sequence
from pathlib import Path

from melgan.metrics.evaluation import Row
from pipelines.artefacts.metrics_file import read_metrics

SERIES = "evaluation"

# Metric -> class -> (steps, values).
Curves = dict[str, dict[str, tuple[list[int], list[float]]]]


def rows_as_metrics(rows: Sequence[Row]) -> dict[str, float]:
    """Returns rows that have a value as metrics of a step, `name/class` each."""
    return {f"{row.name}/{row.scope}": row.value for row in rows if row.value is not None}


def read_curves(folder: Path) -> Curves:
    """Returns the metrics of a run at every step at which it was evaluated."""
    curves: Curves = {}
    for line in read_metrics(folder, SERIES):
        for key, value in line.metrics.items():
            name, scope = key.split("/", 1)
            steps, values = curves.setdefault(name, {}).setdefault(scope, ([], []))
            steps.append(line.step)
            values.append(value)
    return curves
