"""The standard error of the area under a ROC curve, and of the difference of two on the same images.

DeLong et al. 1988, from ranks as Sun and Xu 2014 have it; with the images of one patient as a cluster, Obuchowski 1997,
eq. 2 to 5, which is the same where each patient has one image. It is of the images alone: trained anew, a classifier
would differ by more.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.stats


@dataclass(frozen=True)
class Area:
    """An area under the ROC curve, or a difference of two, and its standard error."""

    value: float
    standard_error: float

    @property
    def p_value(self) -> float:
        """Two-sided, of a value of 0, from the normal distribution; NaN where the images show no spread."""
        if self.value == 0 and not math.isnan(self.standard_error):
            return 1.0
        if not self.standard_error > 0:
            return math.nan
        return float(2 * scipy.stats.norm.sf(abs(self.value) / self.standard_error))


def mean_area(
    positive: np.ndarray,
    runs: np.ndarray,
    *,
    folds: np.ndarray,
    groups: np.ndarray,
    baseline: np.ndarray | None = None,
) -> Area:
    """Returns the mean of the areas of independent folds, or of their differences; folds without a class do not count.

    Arguments:
      positive: which images are of the class `[N]`, bool.
      runs: scores of each training of a classifier, larger for the class, comparable within a fold `[R, N]`; the area
        is the mean of theirs.
      folds: `[N]`.
      groups: patient of every image `[N]`; none is in several folds.
      baseline: the scores of another classifier for the same images `[Q, N]`, whose area is subtracted.
    """
    of_folds = []
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        if 0 < positive[rows].sum() < len(rows):
            components = _mean_placements(positive[rows], runs[:, rows])
            if baseline is not None:
                components = components - _mean_placements(positive[rows], baseline[:, rows])
            of_folds.append(area_of(positive[rows], components, groups[rows]))
    if not of_folds:
        return Area(math.nan, math.nan)
    errors = np.array([area.standard_error for area in of_folds])
    return Area(float(np.mean([area.value for area in of_folds])), float(np.sqrt(np.sum(errors**2)) / len(of_folds)))


def _mean_placements(positive: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Returns the placements of the images `[N]`, mean of runs `[R, N]`: their mean is the mean area."""
    return np.mean([placements(positive, scores) for scores in runs], axis=0)


def placements(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns, for each image `[N]`, the fraction of those of the other kind that it is in order with, ties half.

    These are the structural components V10 and V01: the mean of either kind is the area.

    Arguments:
      positive: which images are of the class `[N]`, bool, both kinds among them.
      scores: `[N]`.
    """
    among_all = scipy.stats.rankdata(scores)
    found = np.empty(len(scores))
    for kind in (True, False):
        own = positive == kind
        others_below = (among_all[own] - scipy.stats.rankdata(scores[own])) / np.sum(~own)
        found[own] = others_below if kind else 1 - others_below
    return found


def area_of(positive: np.ndarray, components: np.ndarray, groups: np.ndarray) -> Area:
    """Returns the area and its standard error, NaN where one patient alone has all images of a kind.

    Arguments:
      positive: `[N]`, bool.
      components: of `placements`, or the difference of two `[N]`.
      groups: patient of every image `[N]`.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    value = float(components[positive].mean())
    sums = [np.bincount(codes, (components - value) * own / own.sum()) for own in (positive, ~positive)]
    patients = [len(np.unique(codes[own])) for own in (positive, ~positive)]
    if min(patients) < 2:
        return Area(value, math.nan)
    variance = sum(count / (count - 1) * np.sum(own**2) for count, own in zip(patients, sums, strict=True))
    variance += 2 * len(sums[0]) / (len(sums[0]) - 1) * np.sum(sums[0] * sums[1])
    return Area(value, float(np.sqrt(max(variance, 0.0))))
