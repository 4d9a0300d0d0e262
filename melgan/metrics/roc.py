"""The ROC curve of scores, and the metrics that are read off it."""

from dataclasses import dataclass

import numpy as np
from scipy.integrate import trapezoid

_ROUNDING = 1e-9  # images


@dataclass(frozen=True)
class RocCurve:
    """How many images of a class, and of the others, lie at or above each threshold.

    Attributes:
      true_positives: from 0 to all `[T]`, one a distinct score and one above all of them.
      false_positives: the same of the others `[T]`.
    """

    true_positives: np.ndarray
    false_positives: np.ndarray

    @property
    def positives(self) -> int:
        """The images of the class."""
        return int(self.true_positives[-1])

    @property
    def negatives(self) -> int:
        """The images of the others."""
        return int(self.false_positives[-1])

    @property
    def has_both(self) -> bool:
        """Whether there are images of the class and others: without one of them no metric is defined."""
        return bool(self.positives and self.negatives)


def roc_curve(positive: np.ndarray, scores: np.ndarray) -> RocCurve:
    """Returns the ROC curve; scores that are sorted already take the least time.

    Arguments:
      positive: which images are of the class `[N]`, bool.
      scores: larger for the class `[N]`.
    """
    order = np.argsort(scores)  # equal scores are one threshold, in whatever order
    ascending = scores[order]
    below = np.concatenate([[0], np.flatnonzero(ascending[1:] != ascending[:-1]) + 1, [len(scores)]])[::-1]
    positives_below = np.concatenate([[0], np.cumsum(positive[order])])[below]
    true_positives = positives_below[0] - positives_below
    return RocCurve(true_positives, len(scores) - below - true_positives)


def area(curve: RocCurve) -> float:
    """Returns the area under the curve: the fraction of pairs in order, ties half; NaN where a class is absent.

    Mann and Whitney 1947; Hanley and McNeil 1982.
    """
    if not curve.has_both:
        return float("nan")
    pairs = trapezoid(curve.true_positives.astype(np.float64), curve.false_positives)
    return float(pairs / (curve.positives * curve.negatives))


def partial_area(curve: RocCurve, sensitivity: float) -> float:
    """Returns the area under the curve that lies above a sensitivity; NaN where a class is absent.

    The primary metric of ISIC 2024, with 0.80: a perfect classifier has 1 less the sensitivity, one that guesses half
    of its square. It is not scaled, unlike that of scikit-learn's `max_fpr` (McClish 1989), and takes scores of any
    scale: the published code mirrors them at 1, by which such below 1e-16 become equal.

    Arguments:
      curve: of the class.
      sensitivity: from 0, for the whole area, up to 1.
    """
    if not curve.has_both:
        return float("nan")
    height = curve.true_positives / curve.positives
    specificity = 1 - curve.false_positives / curve.negatives
    first = np.searchsorted(height, sensitivity, side="right")  # the curve crosses the sensitivity before it
    share = (sensitivity - height[first - 1]) / (height[first] - height[first - 1]) if first < len(height) else 0.0
    crossing = specificity[first - 1] + share * (specificity[min(first, len(height) - 1)] - specificity[first - 1])
    return float(trapezoid([crossing, *specificity[first:]], [sensitivity, *height[first:]]))


def average_precision(curve: RocCurve) -> float:
    """Returns the mean precision over the images of the class, each at its own threshold; NaN where a class is absent.

    One that guesses has the fraction of the class. Salton and McGill 1983; without interpolation.
    """
    if not curve.has_both:
        return float("nan")
    found, all_found = curve.true_positives[1:], curve.true_positives[1:] + curve.false_positives[1:]
    return float(np.sum(np.diff(curve.true_positives) * found / all_found) / curve.positives)


def sensitivity_at(curve: RocCurve, specificity: float) -> float:
    """Returns the largest sensitivity of any threshold whose specificity is at least the one given."""
    if not curve.has_both:
        return float("nan")
    allowed = (1 - specificity) * curve.negatives + _ROUNDING
    last = np.searchsorted(curve.false_positives, allowed, side="right") - 1
    return float(curve.true_positives[last] / curve.positives)


def threshold_at_specificity(positive: np.ndarray, scores: np.ndarray, specificity: float) -> float:
    """Returns the lowest threshold with at least a specificity, at which the sensitivity is that of `sensitivity_at`.

    Arguments:
      positive: which images are of the class `[N]`, bool.
      scores: larger for the class `[N]`; those at or above the threshold count as of it.
      specificity: from 0 to 1.

    Returns:
      One of the scores; infinity where none has the specificity.
    """
    negatives, candidates = np.sort(scores[~positive]), np.unique(scores)
    false_positives = len(negatives) - np.searchsorted(negatives, candidates, side="left")
    allowed = candidates[false_positives <= (1 - specificity) * len(negatives) + _ROUNDING]
    return float(allowed[0]) if len(allowed) else np.inf


def specificity_at(curve: RocCurve, sensitivity: float) -> float:
    """Returns the largest specificity of any threshold whose sensitivity is at least the one given."""
    if not curve.has_both:
        return float("nan")
    needed = sensitivity * curve.positives - _ROUNDING
    first = np.searchsorted(curve.true_positives, needed, side="left")
    return float(1 - curve.false_positives[first] / curve.negatives)
