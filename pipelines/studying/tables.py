"""The tables of a study, as CSV and LaTeX."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from melgan.studies.differences import Runs
from melgan.studies.power import power_of
from pipelines.artefacts.study import (
    ARMS_TABLE,
    AUC,
    DIFFERENCES_TABLE,
    GENERATORS_TABLE,
    LATEX_TABLE,
    POWER_TABLE,
    RATIO_TABLE,
    SCORES_TABLE,
    VARIANCE_TABLE,
    ArmResult,
    BestRatio,
    Comparison,
    Generator,
    StudyReport,
)
from pipelines.pages.latex import as_latex
from pipelines.pages.page import p_text
from pipelines.studying.real_images import RealImages
from pipelines.studying.scores import ArmScores
from tfrecords_tools.csv_tables import write_table
from tfrecords_tools.foundation.documents import as_plain
from tfrecords_tools.foundation.files import write_atomically

_NESTED = (
    "difference",
    "of_folds",
    "spread",
    "alone",
    "simultaneous",
    "equivalence",
    "superiority",
)  # which have no place in a table

_LATEX_HEADER = ("Arm", "Baseline", "Difference in AUC", "95 % interval", "p", "Verdict")


def write_tables(folder: Path, report: StudyReport, margin: float) -> None:
    """Writes every table of a study but that of the scores."""
    tables = {
        ARMS_TABLE: _rows(report.arms, ArmResult),
        DIFFERENCES_TABLE: pd.DataFrame(map(_difference, report.comparisons)),
        VARIANCE_TABLE: pd.DataFrame(row for each in report.comparisons for row in _variances(each)),
        POWER_TABLE: pd.DataFrame(_power(each, margin) for each in report.comparisons),
        RATIO_TABLE: _rows(report.best_ratios, BestRatio),
        GENERATORS_TABLE: _rows(report.generators, Generator),
    }
    for name, table in tables.items():
        write_table(folder / name, table)
    write_atomically(folder / LATEX_TABLE, _latex(report))


def write_scores(folder: Path, images: RealImages, scores: Mapping[str, ArmScores]) -> None:
    """Writes the score of every image by every run: a row an image, a column a run."""
    columns = {
        f"{name}, generator {generator}, seed {seed}": own.scores[row, column]
        for name, own in scores.items()
        for row, generator in enumerate(own.generators)
        for column, seed in enumerate(own.seeds)
    }
    facts = {"image_name": images.names, "fold": images.folds, "group": images.groups}
    facts["positive"] = images.positive.astype(int)
    write_table(folder / SCORES_TABLE, pd.DataFrame(facts | columns))


def _rows(values: tuple, kind: type) -> pd.DataFrame:
    """Returns a table with a row for each value, and its header even if there is none."""
    return pd.DataFrame(map(as_plain, values), columns=list(kind.__dataclass_fields__))


def _difference(each: Comparison) -> dict:
    row, difference = as_plain(each), each.difference
    intervals = {
        "": difference.alone,
        "_simultaneous": difference.simultaneous,
        "_equivalence": difference.equivalence,
        "_superiority": difference.superiority,
    }
    bounds = {
        f"{bound}{name}": getattr(interval, bound) for name, interval in intervals.items() for bound in ("low", "high")
    }
    flat = {name: value for name, value in {**row, **row["difference"]}.items() if name not in _NESTED}
    return flat | bounds | {"superiority": difference.superiority.value}


def _variances(each: Comparison) -> list[dict]:
    """Returns, by source, the standard deviation of the difference, and that of a single run, or of a fold."""
    spread, num_folds = each.difference.spread, len(each.of_folds)
    of_one_fold = float(np.std(each.of_folds, ddof=1))
    rows = {
        "patients": (np.sqrt(spread.patients), np.sqrt(spread.patients), 1),
        "generator seed": _of_runs(spread.generators),
        "classifier seed": _of_runs(spread.classifiers),
        "fold": (of_one_fold / np.sqrt(num_folds), of_one_fold, num_folds),
    }
    own = {"arm": each.arm, "baseline": each.baseline, "metric": each.metric}
    names = ("standard_deviation", "standard_deviation_of_one", "number")
    return [{**own, "source": source, **dict(zip(names, values, strict=True))} for source, values in rows.items()]


def _of_runs(runs: Runs) -> tuple[float, float, int]:
    """NaN of a single run, which tells nothing."""
    if runs.number < 2:
        return np.nan, np.nan, runs.number
    return np.sqrt(runs.variance), runs.deviation_of_one, runs.number


def _power(each: Comparison, margin: float) -> dict:
    difference = each.difference
    error, degrees = difference.standard_error, difference.spread.degrees_of_freedom
    has_margin = each.metric == AUC and error > 0
    return {
        "arm": each.arm,
        "baseline": each.baseline,
        "metric": each.metric,
        "standard_error": error,
        "detectable_alone": difference.detectable_alone,
        "detectable_in_family": difference.detectable,
        "power_at_margin_alone": power_of(margin, error, degrees) if has_margin else np.nan,
    }


def _latex(report: StudyReport) -> str:
    """Returns the differences in AUC as a LaTeX table, for the package booktabs."""
    rows = [
        (
            each.arm,
            each.baseline,
            f"{each.difference.value:+.3f}",
            f"{each.difference.simultaneous.low:+.3f} to {each.difference.simultaneous.high:+.3f}",
            p_text(each.difference.p_max_t),
            each.verdict,
        )
        for each in report.comparisons
        if each.metric == AUC
    ]
    return as_latex(_LATEX_HEADER, rows)
