"""Metrics of scores under many weightings of the same images at once.

With M[p, n] the fraction to which image p of the class and image n of the others are in order, 1, 1/2 for a tie, or 0,
the area under the ROC curve is sum w_p w_n M[p, n] / (sum w_p sum w_n): Mann and Whitney 1947.
"""

from collections.abc import Callable, Sequence

import numpy as np

_NUMBERS_AT_ONCE = 40_000_000
_ROUNDING = 1e-6  # images, of float32 sums of whole numbers


def areas(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the area under the ROC curve for each weighting `[B]`; NaN where a side has no weight.

    Arguments:
      positive: which images are of the class `[N]`, bool.
      scores: larger for the class `[N]`.
      weights: of each image `[B, N]`.
    """
    own, others = np.flatnonzero(positive), scores[~positive][None]
    own_weights, other_weights = weights[:, positive], weights[:, ~positive]
    pairs = np.zeros(len(weights))
    parts = range(0, len(own), max(1, _NUMBERS_AT_ONCE // max(1, others.size)))  # of M, which may be large
    for rows in (slice(first, first + parts.step) for first in parts):
        part = scores[own[rows]][:, None]
        in_order = (part > others).astype(np.float32) + (part == others).astype(np.float32) / 2
        pairs += np.sum((own_weights[:, rows] @ in_order) * other_weights, axis=1, dtype=np.float64)
    return _divide(pairs, _total(own_weights) * _total(other_weights))


def fractions(hits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the fraction of hits for each weighting `[B]`; NaN where nothing has weight.

    Arguments:
      hits: `[M]`, bool.
      weights: of each `[B, M]`.
    """
    return _divide(weights @ hits.astype(weights.dtype), _total(weights))


def sensitivities(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray, specificity: float) -> np.ndarray:
    """Returns the largest sensitivity at a specificity or above for each weighting `[B]`; NaN without a side.

    For the arguments see `areas`.
    """
    order = np.argsort(-scores[~positive], kind="stable")
    own_weights, other_weights = weights[:, positive], weights[:, ~positive][:, order]
    others, total = scores[~positive][order], _total(other_weights)
    false_positives = np.cumsum(other_weights, axis=1, dtype=np.float64)
    too_many = false_positives > ((1 - specificity) * total + _ROUNDING)[:, None]
    first = np.argmax(too_many, axis=1)  # the threshold lies above the first image of the others that is too many
    above = own_weights @ (scores[positive][:, None] > others[None]).astype(np.float32)
    found = np.take_along_axis(above, first[:, None], axis=1)[:, 0].astype(np.float64)
    all_found = _total(own_weights)
    return _divide(np.where(too_many.any(axis=1), found, all_found), np.where(total > 0, all_found, 0))


WeightedMetric = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def mean_of_folds(
    metric: WeightedMetric, positive: np.ndarray, scores: np.ndarray, folds: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Returns the mean of a metric over the folds for each weighting `[B]`; folds without a side do not count.

    Arguments:
      metric: `(positive [M], scores [M], weights [B, M]) -> [B]`.
      folds: of every image `[N]`.
      positive, scores, weights: see `areas`.
    """
    return _mean_of_known([each for _, each in of_each_fold(metric, positive, scores, folds, weights)])


def of_each_fold(
    metric: WeightedMetric, positive: np.ndarray, scores: np.ndarray, folds: np.ndarray, weights: np.ndarray
) -> list[tuple[int, np.ndarray]]:
    """Returns the folds, each with its value of a metric for each weighting `[B]`; see `mean_of_folds`."""
    rows = {fold: np.flatnonzero(folds == fold) for fold in np.unique(folds)}
    return [(int(fold), metric(positive[own], scores[own], weights[:, own])) for fold, own in rows.items()]


def _mean_of_known(values: Sequence[np.ndarray]) -> np.ndarray:
    stacked = np.stack(values)
    return _divide(np.nansum(stacked, axis=0), np.sum(~np.isnan(stacked), axis=0))


def _total(weights: np.ndarray) -> np.ndarray:
    return weights.sum(axis=1, dtype=np.float64)


def _divide(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    nothing = np.full(np.shape(numerators), np.nan)
    return np.divide(numerators, denominators, out=nothing, where=np.asarray(denominators) > 0)
