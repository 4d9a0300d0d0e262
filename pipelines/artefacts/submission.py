"""The report of make_submission."""

from dataclasses import dataclass

SUBMISSION_FILE = "submission.csv"


@dataclass(frozen=True, kw_only=True)
class SubmissionReport:
    """Rows of a submission, the class whose probability they hold, and the runs, with digests, of its models.

    `filled` counts the images, named by `filled_images`, that no model could predict and that hold the mean of the
    others.
    """

    rows: int
    label: str
    models: int
    runs: dict[str, str]
    filled: int = 0
    filled_images: tuple[str, ...] = ()
