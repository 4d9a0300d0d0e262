"""The section of a page on a submission."""

from pathlib import Path

import pandas as pd

from pipelines.artefacts.submission import SUBMISSION_FILE, SubmissionReport
from pipelines.pages.page import Section, Table


def submission_section(folder: Path, report: SubmissionReport) -> Section:
    """Returns how many rows there are, and how their values are spread."""
    table = pd.read_csv(folder / SUBMISSION_FILE)
    quantiles = table["target"].quantile([0, 0.25, 0.5, 0.75, 1]).map(lambda value: f"{value:.4f}")
    header = ("rows", "models averaged", "lowest", "25 %", "median", "75 %", "highest")
    row = (str(len(table)), str(report.models), *quantiles)
    return Section(f"Submission: {folder.name}", f"Probability of {report.label}.", (Table(header, (row,)),))
