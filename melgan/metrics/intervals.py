"""Confidence intervals by the bootstrap over groups: images of one patient are drawn together.

Efron and Tibshirani 1993, chapters 13 (percentile interval) and 8 (clusters as the unit that is drawn). Resamples
are the same for equal groups and seed, so the difference of two classifiers on the same images is a paired one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

NUM_RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    figure: Callable[[np.ndarray], float], groups: np.ndarray, seed: int, num_resamples: int = NUM_RESAMPLES
) -> Interval:
    """Returns a figure and its 95 % percentile interval.

    Arguments:
      figure: maps row numbers `[M]` (with repetitions) to the figure; NaN, where a class was not drawn, is left out.
      groups: group of every row `[N]`.
      seed: of the resamples.
      num_resamples: how many.
    """
    value = figure(np.arange(len(groups)))
    drawn = np.array([figure(rows) for rows in _resamples(groups, seed, num_resamples)])
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(drawn):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def patient_groups(patient_ids: np.ndarray) -> np.ndarray:
    """Returns group codes `[N]`; a missing patient (a negative code) is a group of its own."""
    own = np.arange(len(patient_ids)) + (patient_ids.max(initial=0) + 1)
    return np.unique(np.where(patient_ids < 0, own, patient_ids), return_inverse=True)[1]


def _resamples(groups: np.ndarray, seed: int, num_resamples: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    order = np.argsort(groups, kind="stable")
    sizes = np.unique(groups, return_counts=True)[1]
    starts = np.cumsum(sizes) - sizes
    for _ in range(num_resamples):
        drawn = rng.integers(0, len(sizes), size=len(sizes))
        lengths = sizes[drawn]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        yield order[np.repeat(starts[drawn], lengths) + within]
