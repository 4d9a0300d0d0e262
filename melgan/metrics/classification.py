"""Metrics of classifiers from labels and predicted probabilities.

Each looks at one class against the rest: at the second of two classes, or at every one of more, and the metric is the
mean over them. A new metric is one entry in METRICS.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from melgan.metrics.calibration import brier_score, calibration_error
from melgan.metrics.net_benefit import net_benefit_at_prior
from melgan.metrics.roc import (
    RocCurve,
    area,
    average_precision,
    partial_area,
    roc_curve,
    sensitivity_at,
    specificity_at,
)

AUC, CALIBRATION_ERROR = "auc", "calibration_error"
PARTIAL_AUC_ABOVE = 0.80  # sensitivity, as of ISIC 2024
SPECIFICITIES = (0.80, 0.90, 0.95)
SENSITIVITIES = (0.80, 0.90, 0.95)


@dataclass(frozen=True)
class OneAgainstRest:
    """A class against all others: which images are of it `[N]`, bool, and its probabilities `[N]`."""

    positive: np.ndarray
    probabilities: np.ndarray

    @cached_property
    def curve(self) -> RocCurve:
        """The ROC curve, made once for all metrics that are read off it."""
        return roc_curve(self.positive, self.probabilities)


@dataclass(frozen=True)
class Metric:
    """A metric of one class against the rest.

    `of_many` tells whether its mean over more than two classes is shown; `allows_repetition` whether images that come
    several times, as in a bootstrap, leave it unbiased.
    """

    compute: Callable[[OneAgainstRest], float]
    of_many: bool = False
    allows_repetition: bool = True


def _of_curve(metric: Callable[..., float], **settings: float) -> Callable[[OneAgainstRest], float]:
    return lambda scored: metric(scored.curve, **settings)


def _of_probabilities(metric: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[OneAgainstRest], float]:
    return lambda scored: metric(scored.positive, scored.probabilities)


# Higher is better, but for the Brier score and the calibration error.
METRICS: dict[str, Metric] = {
    AUC: Metric(_of_curve(area), of_many=True),
    f"partial_auc_above_{PARTIAL_AUC_ABOVE:.2f}_sensitivity": Metric(
        _of_curve(partial_area, sensitivity=PARTIAL_AUC_ABOVE)
    ),
    "average_precision": Metric(_of_curve(average_precision), of_many=True),
    **{
        f"sensitivity_at_{at:.2f}_specificity": Metric(_of_curve(sensitivity_at, specificity=at))
        for at in SPECIFICITIES
    },
    **{
        f"specificity_at_{at:.2f}_sensitivity": Metric(_of_curve(specificity_at, sensitivity=at))
        for at in SENSITIVITIES
    },
    "brier_score": Metric(_of_probabilities(brier_score), of_many=True),
    CALIBRATION_ERROR: Metric(_of_probabilities(calibration_error), of_many=True, allows_repetition=False),
    "net_benefit_at_prior": Metric(_of_probabilities(net_benefit_at_prior)),
}


def classification_metrics(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Returns every metric that suits a set of classes; the first is the one by which epochs are chosen.

    NaN stands where a class that the metric needs is absent.

    Arguments:
      labels: `[N]`.
      probabilities: `[N, classes]`.
      classes: their names.
    """
    is_binary = len(classes) == 2
    scored = _against_rest(labels, probabilities)
    values = {
        name: mean_of_known(map(metric.compute, scored))
        for name, metric in METRICS.items()
        if is_binary or metric.of_many
    }
    if not is_binary:
        values |= {f"auc_{name}": area(own.curve) for name, own in zip(classes, scored, strict=True)}
    predicted = probabilities.argmax(axis=1)
    return values | {f"recall_{name}": _recall(labels, predicted, label) for label, name in enumerate(classes)}


def scored_classes(num_classes: int) -> Sequence[int]:
    """Returns the classes that are looked at against the rest: the second of two, or every one of more."""
    return [1] if num_classes == 2 else range(num_classes)


def macro_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the area of the second of two classes, or the mean of the areas of more that occur.

    Arguments:
      labels: `[N]`.
      probabilities: `[N, classes]`.
    """
    return mean_of_known(area(scored.curve) for scored in _against_rest(labels, probabilities))


def auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Returns the area under the ROC curve; NaN where one of the two classes is absent.

    Arguments:
      positive: which examples are of the class `[N]`, bool.
      scores: larger for the class `[N]`.
    """
    return area(roc_curve(positive, scores))


def mean_of_known(values: Iterable[float]) -> float:
    """Returns the mean of the values that are not NaN; NaN if there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _against_rest(labels: np.ndarray, probabilities: np.ndarray) -> list[OneAgainstRest]:
    scored = scored_classes(probabilities.shape[1])
    return [OneAgainstRest(labels == label, probabilities[:, label]) for label in scored]


def _recall(labels: np.ndarray, predicted: np.ndarray, label: int) -> float:
    """Returns the fraction of a class's images whose most probable class it is; NaN where it is absent."""
    of_class = labels == label
    return float(np.mean(predicted[of_class] == label)) if of_class.any() else float("nan")
