"""Metrics of out-of-fold predictions, every fold of which is of another model.

Models are calibrated differently, so their scores may not be ranked together. A metric is the mean of its values in the
folds, those of calibration too, as it is the calibration of each model; the pooled area takes the rank of a score
within its fold in place of the score. Forman and Scholz 2010, "Apples-to-apples in cross-validation studies".
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy.stats

from melgan.metrics.classification import AUC, classification_metrics, macro_auc, mean_of_known
from melgan.metrics.roc import threshold_at_specificity

MEAN_AUC, POOLED_RANK_AUC = "mean_auc", "pooled_rank_auc"


def cross_validation_metrics(
    labels: np.ndarray, probabilities: np.ndarray, folds: np.ndarray, classes: Sequence[str]
) -> dict[str, float]:
    """Returns every metric that suits a set of classes; the first is the one that classifiers are compared by.

    A fold in which a metric is NaN, because a class is absent, does not count.

    Arguments:
      labels: `[N]`.
      probabilities: `[N, classes]`.
      folds: `[N]`.
      classes: their names.
    """
    of_folds = [classification_metrics(*own, classes) for own in _each_fold(labels, probabilities, folds)]
    means = {name: mean_of_known(values[name] for values in of_folds) for name in of_folds[0]}
    pooled = macro_auc(labels, ranks_within_folds(probabilities, folds))
    return {MEAN_AUC: means.pop(AUC), POOLED_RANK_AUC: pooled, **means}


def mean_over_folds(
    metric: Callable[[np.ndarray, np.ndarray], float], labels: np.ndarray, scores: np.ndarray, folds: np.ndarray
) -> float:
    """Returns the mean of a metric of labels and scores over the folds that have one.

    Arguments:
      metric: `(labels [M], scores [M, ...]) -> value`.
      labels: `[N]`.
      scores: `[N, ...]`.
      folds: `[N]`.
    """
    return mean_of_known(metric(*own) for own in _each_fold(labels, scores, folds))


def flagged_within_folds(positive: np.ndarray, scores: np.ndarray, folds: np.ndarray, specificity: float) -> np.ndarray:
    """Returns which images count as of a class `[N]`, bool, at the threshold of their fold that has a specificity.

    Arguments:
      positive: which are of the class `[N]`, bool.
      scores: larger for the class `[N]`.
      folds: `[N]`.
      specificity: that the threshold has at least, over all images of a fold.
    """
    flagged = np.zeros(len(positive), bool)
    for fold in np.unique(folds):
        own = folds == fold
        flagged[own] = scores[own] >= threshold_at_specificity(positive[own], scores[own], specificity)
    return flagged


def ranks_within_folds(scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Returns scores `[N, classes]` as ranks in (0, 1] among those of the same fold and class; equal ones share one."""
    ranks = np.empty(scores.shape, np.float64)
    for fold in np.unique(folds):
        rows = folds == fold
        ranks[rows] = scipy.stats.rankdata(scores[rows], axis=0) / rows.sum()
    return ranks


def _each_fold(labels: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for fold in np.unique(folds):
        rows = folds == fold
        yield labels[rows], scores[rows]
