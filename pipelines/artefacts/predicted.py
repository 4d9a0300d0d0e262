"""The report of predict."""

from dataclasses import dataclass

COMMAND = "predict"
PREDICTED_FILE = "predictions.csv"
# Columns of it, beside one for the probability of each class.
MOST_PROBABLE, DISAGREEMENT = "most_probable_class", "disagreement"


@dataclass(frozen=True, kw_only=True)
class PredictingRun:
    """A run that predicted: its name, folder and digest, how many networks it has, and by what it was calibrated."""

    name: str
    path: str
    digest: str
    networks: int
    temperature: float


@dataclass(frozen=True, kw_only=True)
class PredictReport:
    """What was predicted.

    Attributes:
      classes: of the runs, in the order of their numbers.
      images: how many have a prediction.
      rejected: how many could not be read.
      most_probable: how many images have each class as their most probable one.
      runs: the runs.
      prior: the mix of classes that probabilities are for.
      seen: a sentence on each run that was trained on images which it predicts, as far as that is known.
    """

    classes: tuple[str, ...]
    images: int
    rejected: int
    most_probable: dict[str, int]
    runs: tuple[PredictingRun, ...]
    prior: str
    seen: tuple[str, ...] = ()
