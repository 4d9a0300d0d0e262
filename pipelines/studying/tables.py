"""The tables of a study, as CSV."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from melgan.studies.power import detectable_difference, power_of
from pipelines.artefacts.study import (
    ARMS_TABLE,
    DIFFERENCES_TABLE,
    GENERATORS_TABLE,
    POWER_TABLE,
    RATIO_TABLE,
    SCORES_TABLE,
    VARIANCE_TABLE,
    Comparison,
    StudyReport,
)
from pipelines.studying.fold_features import RealImages
from pipelines.studying.scores import ArmScores
from tfrecords_tools.csv_tables import write_table
from tfrecords_tools.foundation.documents import as_plain


def write_tables(folder: Path, report: StudyReport, margin: float) -> None:
    """Writes every table of a study but that of the scores."""
    family = sum(each.is_synthetic for each in report.of_metric("auc"))
    tables = {
        ARMS_TABLE: [as_plain(arm) for arm in report.arms],
        DIFFERENCES_TABLE: [_difference(each) for each in report.comparisons],
        VARIANCE_TABLE: [row for each in report.comparisons for row in _variances(each)],
        POWER_TABLE: [_power(each, family if each.is_synthetic else 1, margin) for each in report.comparisons],
        RATIO_TABLE: [as_plain(each) for each in report.best_ratios],
        GENERATORS_TABLE: [as_plain(each) for each in report.generators],
    }
    for name, rows in tables.items():
        write_table(folder / name, pd.DataFrame(rows))


def write_scores(folder: Path, real: RealImages, scores: Mapping[str, ArmScores], seeds: Sequence[int]) -> None:
    """Writes the score of every image by every run: a row an image, a column a run."""
    columns = {
        f"{name}, generator {generator}, seed {seed}": own.scores[row, column]
        for name, own in scores.items()
        for row, generator in enumerate(seeds[: own.scores.shape[0]])
        for column, seed in enumerate(seeds[: own.scores.shape[1]])
    }
    facts = {"image_name": real.names, "fold": real.folds, "group": real.groups, "positive": real.positive.astype(int)}
    write_table(folder / SCORES_TABLE, pd.DataFrame(facts | columns))


def _difference(each: Comparison) -> dict:
    row = as_plain(each)
    return {**{name: value for name, value in row.items() if name != "difference"}, **_plain(row["difference"])}


def _plain(difference: dict) -> dict:
    return {name: value for name, value in difference.items() if name != "spread"}


def _variances(each: Comparison) -> list[dict]:
    """Returns, by source, the standard deviation of the difference, and that of a single run."""
    spread = each.difference.spread
    of_sources = {
        "patients": (np.sqrt(spread.patients), np.sqrt(spread.patients), 1),
        "generator seed": (
            np.sqrt(spread.generators.variance),
            spread.generators.deviation_of_one,
            spread.generators.number,
        ),
        "classifier seed": (
            np.sqrt(spread.classifiers.variance),
            spread.classifiers.deviation_of_one,
            spread.classifiers.number,
        ),
    }
    return [
        {
            "arm": each.arm,
            "metric": each.metric,
            "source": source,
            "standard_deviation": deviation,
            "standard_deviation_of_one_run": of_one,
            "runs": runs,
        }
        for source, (deviation, of_one, runs) in of_sources.items()
    ]


def _power(each: Comparison, family: int, margin: float) -> dict:
    error = each.difference.standard_error
    return {
        "arm": each.arm,
        "metric": each.metric,
        "standard_error": error,
        "detectable_alone": detectable_difference(error),
        "detectable_in_family": detectable_difference(error, family),
        "power_at_margin": power_of(margin, error) if error else float("nan"),
    }
