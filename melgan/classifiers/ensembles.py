"""Ensembles: the probabilities of one class by several models, the mean over folds of each, as one.

A new ensemble is one entry in ENSEMBLES.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats

from melgan.metrics.classification import auc
from melgan.metrics.cross_validation import mean_over_folds
from melgan.metrics.intervals import Interval, bootstrap_interval, draw_parts

_LEAST = 1e-7  # of a probability, and of its distance from 1, where its logit is taken
_GREATEST_WEIGHT, _GREATEST_INTERCEPT = 10.0, 20.0  # of logits: finite also where the models make no mistake


@dataclass(frozen=True)
class Weights:
    """How much each model counts `[M]`, 0 or greater, and what is added to the sum of weighted logits."""

    of_models: np.ndarray
    intercept: float = 0.0


def equal_weights(count: int) -> Weights:
    """Returns the same weight for each of some models."""
    return Weights(np.full(count, 1 / count))


@dataclass(frozen=True)
class Ensemble:
    """A way to combine models.

    Attributes:
      combine: `(probabilities [M, N], weights) -> [N]`, in [0, 1].
      weights: whether they are equal, given by the user, or fitted to out-of-fold predictions.
      takes_any_scale: whether scores may lie outside of [0, 1].
    """

    combine: Callable[[np.ndarray, Weights], np.ndarray]
    weights: str = "equal"
    takes_any_scale: bool = False


def weighted_mean(probabilities: np.ndarray, weights: Weights) -> np.ndarray:
    """Returns the mean by weights, which need not sum to 1."""
    return np.average(probabilities, axis=0, weights=weights.of_models)


def rank_mean(scores: np.ndarray, weights: Weights) -> np.ndarray:
    """Returns the mean of the ranks of each model's scores, (rank - 1/2) / N; equal scores share one."""
    ranks = (scipy.stats.rankdata(scores, axis=1) - 0.5) / scores.shape[1]
    return weighted_mean(ranks, weights)


def geometric_mean(probabilities: np.ndarray, weights: Weights) -> np.ndarray:
    """Returns the geometric mean by weights: 0 where a model says 0."""
    with np.errstate(divide="ignore"):
        return np.exp(weighted_mean(np.log(probabilities), weights))


def logit_sum(probabilities: np.ndarray, weights: Weights) -> np.ndarray:
    """Returns the probability of the weighted sum of the logits, plus the intercept."""
    return scipy.special.expit(weights.of_models @ _logits(probabilities) + weights.intercept)


ENSEMBLES: dict[str, Ensemble] = {
    "mean": Ensemble(weighted_mean),
    "rank": Ensemble(rank_mean, takes_any_scale=True),
    "weighted": Ensemble(weighted_mean, weights="given"),
    "geometric": Ensemble(geometric_mean),
    "fitted": Ensemble(logit_sum, weights="fitted"),
}


def fit_weights(probabilities: np.ndarray, positive: np.ndarray) -> Weights:
    """Returns the weights of `logit_sum`, 0 or greater, with the least log loss. Wolpert 1992; Breiman 1996.

    Arguments:
      probabilities: of images that no model was trained on `[M, N]`.
      positive: which of them are of the class `[N]`, bool.
    """
    logits = np.concatenate([_logits(probabilities), np.ones((1, len(positive)))])

    def log_loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        sums = values @ logits
        errors = scipy.special.expit(sums) - positive
        return float(np.mean(np.logaddexp(0, sums) - positive * sums)), logits @ errors / len(positive)

    models = len(probabilities)
    start = np.append(equal_weights(models).of_models, 0.0)
    bounds = [(0, _GREATEST_WEIGHT)] * models + [(-_GREATEST_INTERCEPT, _GREATEST_INTERCEPT)]
    found = scipy.optimize.minimize(log_loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return Weights(found[:-1], float(found[-1]))


def cross_fitted(probabilities: np.ndarray, positive: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Returns the `logit_sum` of each image `[N]` by weights that are fitted to other parts of the patients.

    So no image is predicted by weights that knew its label.

    Arguments:
      probabilities: of images that no model was trained on `[M, N]`.
      positive: which of them are of the class `[N]`, bool.
      groups: patient of every image `[N]`.
      seed: of the parts.
    """
    parts, found = draw_parts(groups, most=len(np.unique(groups)), seed=seed), np.empty(len(positive))
    for part in np.unique(parts):
        own = parts == part
        found[own] = logit_sum(probabilities[:, own], fit_weights(probabilities[:, ~own], positive[~own]))
    return found


def out_of_fold_gain(
    probabilities: np.ndarray, positive: np.ndarray, *, folds: np.ndarray, groups: np.ndarray, seed: int
) -> Interval:
    """Returns how much greater the AUC, mean of the folds, is with fitted weights than that of the plain mean.

    The weights are `cross_fitted`. The paired 95 % interval draws patients whole, and takes the weights as they are.

    Arguments:
      probabilities, positive, groups, seed: see `cross_fitted`.
      folds: `[N]`.
    """
    fitted = cross_fitted(probabilities, positive, groups, seed)
    plain = weighted_mean(probabilities, equal_weights(len(probabilities)))

    def gain(rows: np.ndarray) -> float:
        with_weights, without = (
            mean_over_folds(auc, positive[rows], scores[rows], folds[rows]) for scores in (fitted, plain)
        )
        return with_weights - without

    return bootstrap_interval(gain, groups, seed)


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return scipy.special.logit(np.clip(probabilities, _LEAST, 1 - _LEAST))
