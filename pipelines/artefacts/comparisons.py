"""Comparisons of classifiers with and without synthetic images, and the report that holds them."""

import json
import math
import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from melgan.metrics.classification import macro_auc
from melgan.metrics.cross_validation import mean_over_folds
from melgan.metrics.delong import Area, mean_area
from melgan.metrics.intervals import Interval, bootstrap_interval, patient_groups
from pipelines.artefacts.classifier_run import OOF_FILE, ClassifierRun, TrainClassifierConfig
from pipelines.artefacts.predictions import read_predictions, scores
from tfrecords_tools.foundation.documents import stored
from tfrecords_tools.foundation.settings import baseline_settings, differences


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The difference in AUC, mean of the folds, of a classifier with synthetic images from its baseline without.

    It is of the images of both. Standard error and p-value are those of DeLong, with the images of a patient as a
    cluster; NaN for more than two classes. It rests on one training a fold on each side; earlier versions do not say
    of how many folds.
    """

    baseline: str = stored("without")
    treated: str = stored("with")
    classes: tuple[str, ...]
    value: float
    low: float
    high: float
    images: int
    standard_error: float = math.nan
    p_value: float = math.nan
    folds: int = 0

    @property
    def interval(self) -> Interval:
        """The difference with its 95 % interval."""
        return Interval(self.value, self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class ReportReport:
    """The report of the command report: the runs that its page shows, with their digests, and the comparisons."""

    runs: dict[str, str]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class NotCompared:
    """A classifier with synthetic images that has no baseline, and how the nearest classifier without differs."""

    treated: str
    nearest: str
    differences: str


def compare(runs: Sequence[ClassifierRun]) -> tuple[list[Comparison], list[NotCompared]]:
    """Returns the comparisons of classifiers with synthetic images with their baselines, and those that have none.

    A baseline is a run without synthetic images, on the same shards, that agrees in all of `baseline_settings`.
    """
    baselines = [run for run in runs if not run.config.synthetic_fraction]
    compared, left_out = [], []
    for run in runs:
        if not run.config.synthetic_fraction:
            continue
        found = [(baseline, _differences(baseline, run)) for baseline in baselines]
        same = [baseline for baseline, others in found if not others]
        if same:
            compared.append(_compare(same[-1], run))
        elif found:
            nearest, others = min(found, key=lambda pair: pair[1].count(";"))
            left_out.append(NotCompared(run.name, nearest.name, others))
    return compared, left_out


@dataclass(frozen=True)
class Pair:
    """Two tables of out-of-fold predictions of the same images, in one order."""

    labels: np.ndarray
    folds: np.ndarray
    groups: np.ndarray
    before: np.ndarray
    after: np.ndarray

    def auc_difference(self, seed: int) -> Interval:
        """Returns the mean AUC of the folds of the second less that of the first, with its paired interval."""

        def difference(rows: np.ndarray) -> float:
            labels, folds = self.labels[rows], self.folds[rows]
            areas = (mean_over_folds(macro_auc, labels, scored[rows], folds) for scored in (self.after, self.before))
            return operator.sub(*areas)

        return bootstrap_interval(difference, self.groups, seed)

    def delong(self) -> Area:
        """Returns the same difference with the standard error of DeLong; NaN for more than two classes."""
        if self.after.shape[1] != 2:
            return Area(math.nan, math.nan)
        runs, baseline = (scored[None, :, 1] for scored in (self.after, self.before))
        return mean_area(self.labels == 1, runs, folds=self.folds, groups=self.groups, baseline=baseline)


def pair(first: pd.DataFrame, second: pd.DataFrame) -> Pair:
    """Returns the predictions of the images that are in both of two tables."""
    tables = [table.set_index(["image_name", "label", "fold"]) for table in (first, second)]
    images = tables[0].index.intersection(tables[1].index, sort=False)
    first, second = (table.loc[images].reset_index() for table in tables)
    (labels, before), (_, after) = scores(first), scores(second)
    return Pair(labels, first["fold"].to_numpy(), patient_groups(first["patient_id"].to_numpy()), before, after)


def out_of_fold(run: ClassifierRun) -> pd.DataFrame:
    """Returns the out-of-fold predictions of a run."""
    return read_predictions(run.folder / OOF_FILE, run.report.classes)


def _compare(baseline: ClassifierRun, treated: ClassifierRun) -> Comparison:
    classes = treated.report.classes
    both = pair(out_of_fold(baseline), out_of_fold(treated))
    interval, delong = both.auc_difference(treated.config.seed), both.delong()
    return Comparison(
        baseline=baseline.name,
        treated=treated.name,
        classes=classes,
        **asdict(interval),
        images=len(both.labels),
        standard_error=delong.standard_error,
        p_value=delong.p_value,
        folds=len(np.unique(both.folds)),
    )


def _differences(baseline: ClassifierRun, treated: ClassifierRun) -> str:
    """Returns in which settings of a baseline two runs differ, as text."""
    return differences(*map(_baseline, (baseline, treated)))


def _baseline(run: ClassifierRun) -> dict[str, Any]:
    """Returns the settings in which runs of the same baseline agree; shards go by their digest, wherever they lie."""
    settings = json.loads(json.dumps(asdict(run.config)))
    if not run.config.distillation_weight:
        settings["teacher"] = ""  # it is asked of synthetic images alone
    return {
        "shards_digest": run.report.shards_digest,
        **{name: settings[name] for name in baseline_settings(TrainClassifierConfig)},
    }
