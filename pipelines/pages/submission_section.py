"""The section of a page on a submission."""

from pathlib import Path

import pandas as pd

from pipelines.artefacts.submission import SUBMISSION_FILE, SubmissionReport
from pipelines.pages.page import Section, Table, sentences
from tfrecords_tools.foundation.texts import first_names


def submission_section(folder: Path, report: SubmissionReport) -> Section:
    """Returns how many rows there are, and how their values are spread."""
    table = pd.read_csv(folder / SUBMISSION_FILE)
    quantiles = table["target"].quantile([0, 0.25, 0.5, 0.75, 1]).map(lambda value: f"{value:.4f}")
    header = ("rows", "models averaged", "lowest", "25 %", "median", "75 %", "highest")
    row = (str(len(table)), str(report.models), *quantiles)
    text = sentences(f"Probability of {report.label}.", _filled(report))
    return Section(f"Submission: {folder.name}", text, (Table(header, (row,)),))


def _filled(report: SubmissionReport) -> str:
    if not report.filled:
        return ""
    images = "1 image has" if report.filled == 1 else f"{report.filled} images have"
    return (
        f"{images} no prediction, because the test shards lack them, and hold the mean of the others: "
        f"{first_names(report.filled_images, 20)}."
    )
