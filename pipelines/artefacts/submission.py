"""The report of make_submission."""

from dataclasses import dataclass

from melgan.metrics.intervals import Interval
from tfrecords_tools.foundation.texts import as_file_name

SUBMISSION_FILE = "submission.csv"
AS_TRAINED = "as_trained"  # the mix of classes of the training


@dataclass(frozen=True, kw_only=True)
class Member:
    """A model of an ensemble: a run, the mean of its folds, or a CSV file.

    Attributes:
      name: of the folder, or of the file without its ending.
      path: of the folder or file.
      predictions: the file beside the submission that holds its predictions.
      networks: how many it is the mean of; 0 of a CSV file.
      weight: how much it counts.
      temperature: by which its logits were divided.
    """

    name: str
    path: str
    predictions: str
    networks: int
    weight: float
    temperature: float = 1.0


@dataclass(frozen=True, kw_only=True)
class SubmissionReport:
    """Rows of a submission, the class whose probability they hold, and the runs, with digests, of its models.

    Attributes:
      rows, label: of the submission; the label is empty where CSV files alone were combined.
      models: how many networks predicted.
      runs: folder -> digest.
      filled: how many images, named by `filled_images`, no model could predict; they hold each run's mean of others.
      ensemble: how members were combined.
      members: the models; none in reports of earlier versions.
      intercept: that was added to the weighted logits, where weights were fitted.
      gain: the AUC of fitted weights, out of fold and cross-fitted, less that of the plain mean; None without.
      prior: the mix of classes that probabilities are for.
    """

    rows: int
    label: str
    models: int
    runs: dict[str, str]
    filled: int = 0
    filled_images: tuple[str, ...] = ()
    ensemble: str = "mean"
    members: tuple[Member, ...] = ()
    intercept: float = 0.0
    gain: Interval | None = None
    prior: str = AS_TRAINED


def predictions_file(number: int, name: str) -> str:
    """Returns the file for the predictions of the model of a number, counted from 1, and a name."""
    return f"predictions_{number}_{as_file_name(name)}.csv"
