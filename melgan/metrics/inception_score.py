"""Inception Score: how sure a classifier is of every image, and how many of its classes it sees in all."""

import numpy as np

from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.intervals import Interval, jackknife_interval

# A split of fewer images says more about their number than about them.
_IMAGES_PER_SPLIT = 1000
_MAX_SPLITS = 10


def inception_score(probabilities: np.ndarray, splits: int = 1) -> float:
    """Returns exp(mean KL(p(y|x) || p(y))), the mean over splits of the images in their order. Salimans et al. 2016.

    Arguments:
      probabilities: p(y|x) `[N, K]`, rows that sum to 1.
      splits: at most N.
    """
    parts = np.array_split(np.asarray(probabilities, np.float64), splits)
    return float(np.mean([np.exp(_mean_information(part)) for part in parts]))


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the score, in up to ten splits of a thousand images and more."""
    probabilities = comparison.evaluated.probabilities
    if probabilities is None:
        raise MetricUnavailable("these features come without classes; use the features inception or classifier:RUN")
    splits = int(np.clip(len(probabilities) // _IMAGES_PER_SPLIT, 1, _MAX_SPLITS))
    order, parts = comparison.order[0], comparison.evaluated_parts
    selections = (order, *(order[parts[order] != part] for part in range(parts.max() + 1)))
    value, *left_out = [inception_score(probabilities[rows], splits) for rows in selections]
    return {"inception_score": jackknife_interval(value, left_out)}


def _mean_information(probabilities: np.ndarray) -> float:
    """Returns the mean Kullback-Leibler distance of the rows from their mean; 0 log 0 is 0."""
    marginal = np.broadcast_to(probabilities.mean(axis=0), probabilities.shape)
    positive = probabilities > 0
    logarithms = np.log(probabilities[positive]) - np.log(marginal[positive])
    return float(np.sum(probabilities[positive] * logarithms) / len(probabilities))
