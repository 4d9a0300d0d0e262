"""The section of a page on predictions of new images."""

from pathlib import Path

import pandas as pd

from pipelines.artefacts.predicted import DISAGREEMENT, MOST_PROBABLE, PREDICTED_FILE, PredictReport
from pipelines.artefacts.predictions import probability_columns
from pipelines.artefacts.submission import AS_TRAINED
from pipelines.pages.page import Section, Table, sentences
from tfrecords_tools.csv_tables import read_table


def predictions_section(folder: Path, report: PredictReport) -> Section:
    """Returns how many images have each class as their most probable one, and how its probabilities are spread."""
    table = read_table(folder / PREDICTED_FILE, ["image_name", MOST_PROBABLE])
    quantiles = table[probability_columns(report.classes)].quantile([0, 0.25, 0.5, 0.75, 1])
    rows = tuple(
        (name, str(report.most_probable[name]), *(f"{value:.4f}" for value in quantiles[column]))
        for name, column in zip(report.classes, probability_columns(report.classes), strict=True)
    )
    classes = Table(("class", "images it is most probable for", "lowest", "25 %", "median", "75 %", "highest"), rows)
    runs = Table(
        ("run", "networks", "temperature"),
        tuple((run.name, str(run.networks), f"{run.temperature:.3g}") for run in report.runs),
    )
    mix = "" if report.prior == AS_TRAINED else "Probabilities are for the mix of the real images."
    rejected = f"{report.rejected} could not be read." if report.rejected else ""
    seen = [f"{each}." for each in report.seen]
    text = sentences(f"Images: {report.images}.", rejected, mix, _disagreement(table), *seen)
    return Section("Predictions", text, (classes, runs))


def _disagreement(table: pd.DataFrame) -> str:
    if DISAGREEMENT not in table:
        return ""
    return (
        "Over the networks, the probability of the most probable class has a standard deviation of "
        f"{table[DISAGREEMENT].median():.3f} (median), {table[DISAGREEMENT].max():.3f} at most."
    )
