"""Evaluations of a classifier after each epoch, as lines of metrics.jsonl."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from melgan.metrics.classification import AUC
from pipelines.artefacts.metrics_file import read_metrics
from tfrecords_tools.foundation.files import AnyPath

_EPOCH, _VALIDATION, _LOSS = "epoch", "validation_", "loss"


@dataclass(frozen=True)
class Epoch:
    """An epoch of a fold, counted from 1.

    `validation` are the metrics of the fold that is held out, by name; `loss` is the mean training loss since the last
    line of metrics, None where it was not written.
    """

    number: int
    step: int
    validation: dict[str, float]
    loss: float | None = None

    @property
    def auc(self) -> float:
        """The metric by which epochs are compared."""
        return self.validation[AUC]

    def as_metrics(self) -> dict[str, float]:
        """Returns the evaluation as metrics of a step."""
        return {_EPOCH: self.number, **{f"{_VALIDATION}{name}": value for name, value in self.validation.items()}}


def series_of_fold(fold: int) -> str:
    """Returns the series in metrics.jsonl of a fold."""
    return f"fold{fold}"


def read_epochs(folder: AnyPath, fold: int) -> list[Epoch]:
    """Returns the epochs of a fold that were evaluated so far, in order."""
    lines = read_metrics(folder, series_of_fold(fold))
    losses = {line.step: line.metrics[_LOSS] for line in lines if _LOSS in line.metrics}
    return [
        Epoch(
            number=line.metrics[_EPOCH],
            step=line.step,
            validation={
                name.removeprefix(_VALIDATION): value
                for name, value in line.metrics.items()
                if name.startswith(_VALIDATION)
            },
            loss=losses.get(line.step),
        )
        for line in lines
        if _EPOCH in line.metrics
    ]


def selected_epoch(epochs: Sequence[Epoch], select: str) -> Epoch:
    """Returns the epoch that is kept, by an entry of SELECTIONS; the last owes nothing to the validation images."""
    return SELECTIONS[select](epochs)


def best_epoch(epochs: Sequence[Epoch]) -> Epoch:
    """Returns the epoch with the highest AUC, the first of equals; one without an AUC is worse than any with one."""
    return max(epochs, key=lambda epoch: -math.inf if math.isnan(epoch.auc) else epoch.auc)


SELECTIONS: dict[str, Callable[[Sequence[Epoch]], Epoch]] = {"best": best_epoch, "last": lambda epochs: epochs[-1]}
