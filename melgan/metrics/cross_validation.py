"""Metrics of out-of-fold predictions, every fold of which is of another model.

Models are calibrated differently, so their scores may not be ranked together. A metric is the mean of its values in the
folds; the pooled area takes the rank of a score within its fold in place of the score. Forman and Scholz 2010,
"Apples-to-apples in cross-validation studies".
"""

from collections.abc import Callable

import numpy as np
import scipy.stats

from melgan.metrics.classification import AUC, Metric, classification_metrics

# labels [N], probabilities [N, classes], folds [N] -> value in [0, 1]
FoldMetric = Callable[[np.ndarray, np.ndarray, np.ndarray], float]

MEAN_AUC, POOLED_RANK_AUC = "mean_auc", "pooled_rank_auc"


def cross_validation_metrics(classes: tuple[str, ...]) -> dict[str, FoldMetric]:
    """Returns the metrics that suit a set of classes; the first is the one that classifiers are compared by."""
    metrics = classification_metrics(classes)
    area = metrics.pop(AUC)
    means = {name: mean_over_folds(metric) for name, metric in metrics.items()}
    return {MEAN_AUC: mean_over_folds(area), POOLED_RANK_AUC: pooled_over_ranks(area), **means}


def mean_over_folds(metric: Metric) -> FoldMetric:
    """Returns the mean of a metric over the folds that have one: it is NaN where a class is absent."""

    def mean(labels: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> float:
        values = np.array([metric(labels[folds == fold], scores[folds == fold]) for fold in np.unique(folds)])
        known = values[~np.isnan(values)]
        return float(known.mean()) if len(known) else float("nan")

    return mean


def pooled_over_ranks(metric: Metric) -> FoldMetric:
    """Returns a metric of all folds together, over the ranks of scores within their folds."""
    return lambda labels, scores, folds: metric(labels, ranks_within_folds(scores, folds))


def ranks_within_folds(scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Returns scores `[N, classes]` as ranks in (0, 1] among those of the same fold and class; equal ones share one."""
    ranks = np.empty(scores.shape, np.float64)
    for fold in np.unique(folds):
        rows = folds == fold
        ranks[rows] = scipy.stats.rankdata(scores[rows], axis=0) / rows.sum()
    return ranks
