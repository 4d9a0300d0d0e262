"""The section of a page on a submission."""

from pathlib import Path

import pandas as pd

from pipelines.artefacts.submission import AS_TRAINED, SUBMISSION_FILE, SubmissionReport
from pipelines.pages.page import Section, Table, interval_text, sentences
from tfrecords_tools.foundation.texts import first_names


def submission_section(folder: Path, report: SubmissionReport) -> Section:
    """Returns how many rows there are, and how their values are spread."""
    table = pd.read_csv(folder / SUBMISSION_FILE)
    quantiles = table["target"].quantile([0, 0.25, 0.5, 0.75, 1]).map(lambda value: f"{value:.4f}")
    header = ("rows", "networks", "lowest", "25 %", "median", "75 %", "highest")
    row = (str(len(table)), str(report.models), *quantiles)
    of_class = f"Probability of {report.label}." if report.label else ""
    text = sentences(of_class, _combined(report), _filled(report))
    return Section("Submission", text, (Table(header, (row,)), *_members(report)))


def _combined(report: SubmissionReport) -> str:
    if not report.members:
        return ""  # of an earlier version
    mix = "" if report.prior == AS_TRAINED else " Probabilities of runs are for the mix of the real images."
    gain = ""
    if report.gain is not None:
        gain = (
            " Fitted weights change the AUC, out of fold and cross-fitted over patients, against the plain mean by "
            f"{interval_text(report.gain, signed=True)}."
        )
    return f"Ensemble: {report.ensemble}.{mix}{gain}"


def _members(report: SubmissionReport) -> tuple[Table, ...]:
    """Returns the table of the models; none for a report of an earlier version."""
    if not report.members:
        return ()
    header = ("model", "networks", "weight", "temperature", "predictions")
    rows = tuple(
        (each.name, str(each.networks or "CSV"), f"{each.weight:.3g}", f"{each.temperature:.3g}", each.predictions)
        for each in report.members
    )
    return (Table(header, rows),)


def _filled(report: SubmissionReport) -> str:
    if not report.filled:
        return ""
    images = "1 image has" if report.filled == 1 else f"{report.filled} images have"
    return (
        f"{images} no prediction, because the test shards lack them, and hold the mean of the others: "
        f"{first_names(report.filled_images, 20)}."
    )
