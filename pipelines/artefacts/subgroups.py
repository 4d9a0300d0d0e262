"""Subgroups of the validated images: by data set, sex, age and site, with their metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from melgan.metrics.classification import AUC
from melgan.metrics.intervals import Interval
from melgan.metrics.subgroups import SENSITIVITY, SPECIFICITY
from tfrecords_tools.foundation.documents import as_plain

AT_SPECIFICITY = 0.90  # over all images of a fold, which gives the threshold at which images are counted
_ENDINGS = ("", "_low", "_high")  # of the columns of a metric
_METRICS = (AUC, SENSITIVITY, SPECIFICITY)
_COLUMNS = ["property", "value", "images", "positives", *(f"{name}{end}" for name in _METRICS for end in _ENDINGS)]


@dataclass(frozen=True, kw_only=True)
class Subgroup:
    """Images that have a property in common, and the metrics of one class against the rest on them.

    Attributes:
      property: a column, such as sex.
      value: of the column, such as female.
      images: how many there are.
      positives: how many of them are of the class.
      auc: area under the ROC curve of ranks within the folds.
      sensitivity, specificity: at the threshold that has `AT_SPECIFICITY` over all images of a fold.
    """

    property: str
    value: str
    images: int
    positives: int
    auc: Interval
    sensitivity: Interval
    specificity: Interval


def subgroups_table(subgroups: Sequence[Subgroup]) -> pd.DataFrame:
    """Returns a row a subgroup, with three columns a metric: value, low and high."""
    rows = []
    for subgroup in subgroups:
        row = as_plain(subgroup)
        for name in _METRICS:
            interval = row.pop(name)
            row |= {f"{name}{end}": value for end, value in zip(_ENDINGS, interval.values(), strict=True)}
        rows.append(row)
    return pd.DataFrame(rows, columns=_COLUMNS)
