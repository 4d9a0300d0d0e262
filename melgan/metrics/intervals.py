"""Confidence intervals that keep the images of one patient together.

Bootstrap: Efron and Tibshirani 1993, chapters 13 (percentile interval) and 8 (clusters as the unit that is drawn).
Resamples are the same for equal groups and seed, so the difference of two classifiers on the same images is a paired
one. Jackknife: chapter 11, for metrics that repeated images would bias, such as distances between distributions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

NUM_RESAMPLES = 1000
NUM_PARTS = 10


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % confidence interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    metric: Callable[[np.ndarray], float], groups: np.ndarray, seed: int, num_resamples: int = NUM_RESAMPLES
) -> Interval:
    """Returns a metric of all rows with its 95 % percentile interval.

    Arguments:
      metric: maps row numbers `[M]` (with repetitions) to a value; NaN, where a class was not drawn, is left out.
      groups: group of every row `[N]`.
      seed: of the resamples.
      num_resamples: how many.
    """
    return bootstrap_intervals(lambda rows: {"": metric(rows)}, groups, seed, num_resamples)[""]


def bootstrap_intervals(
    metrics: Callable[[np.ndarray], Mapping[str, float]],
    groups: np.ndarray,
    seed: int,
    num_resamples: int = NUM_RESAMPLES,
) -> dict[str, Interval]:
    """Returns metrics of all rows, by name, with their 95 % percentile intervals, all from the same resamples.

    Arguments:
      metrics: maps row numbers `[M]`, ascending and with repetitions, to values by name; see `bootstrap_interval`.
      groups, seed, num_resamples: see there.
    """
    values = metrics(np.arange(len(groups)))
    drawn = [metrics(rows) for rows in _resamples(groups, seed, num_resamples)]
    return {
        name: percentile_interval(value, np.array([each[name] for each in drawn])) for name, value in values.items()
    }


def percentile_interval(value: float, drawn: np.ndarray) -> Interval:
    """Returns a value with the 95 % interval of what resamples gave `[R]`; NaN among these is left out.

    Efron and Tibshirani 1993, section 13.3.
    """
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(drawn):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def jackknife_interval(value: float, left_out: Sequence[float]) -> Interval:
    """Returns a value with its 95 % interval by the delete-a-part jackknife, symmetric, from Student's t.

    Efron and Tibshirani 1993, eq. 11.5, with parts as the units.

    Arguments:
      value: of all images.
      left_out: values with one of G parts left out `[G]`.
    """
    left_out = np.asarray(left_out, np.float64)
    count = len(left_out)
    if count < 2:
        return Interval(value, float("nan"), float("nan"))
    error = np.sqrt((count - 1) / count * np.sum((left_out - left_out.mean()) ** 2))
    reach = scipy.stats.t.ppf(0.975, count - 1) * error
    return Interval(value, float(value - reach), float(value + reach))


def fraction_interval(hits: np.ndarray, groups: np.ndarray) -> Interval:
    """Returns the fraction of hits with its 95 % interval, in which equal images of a group count as one.

    Wilson 1927: unlike the bootstrap's, it has a width where all or none are hits. Where groups are of different sizes
    m, they count as (sum m)^2 / sum m^2 images: Kish 1965, section 8.2, with images of a group all alike.

    Arguments:
      hits: bool `[N]`.
      groups: group of every row `[N]`.
    """
    sizes = np.unique(groups, return_counts=True)[1].astype(np.float64)
    fraction, count = float(np.mean(hits)), sizes.sum() ** 2 / np.sum(sizes**2)
    squared = scipy.stats.norm.ppf(0.975) ** 2
    middle = (fraction + squared / (2 * count)) / (1 + squared / count)
    reach = np.sqrt(squared * (fraction * (1 - fraction) / count + squared / (4 * count**2))) / (1 + squared / count)
    return Interval(fraction, float(max(middle - reach, 0.0)), float(min(middle + reach, 1.0)))


def wider_fraction_interval(first: Interval, second: Interval) -> Interval:
    """Returns the first fraction with an interval that holds both, inside [0, 1]; bounds that are NaN do not count."""
    low, high = np.fmin(first.low, second.low), np.fmax(first.high, second.high)
    return Interval(first.value, float(max(low, 0.0)), float(min(high, 1.0)))


def fraction_difference_interval(first: Interval, second: Interval) -> Interval:
    """Returns the first fraction less the second with its 95 % interval. Newcombe 1998, method 10.

    Arguments:
      first: of `fraction_interval`.
      second: of `fraction_interval`, of other images.
    """
    difference = first.value - second.value
    below = np.hypot(first.value - first.low, second.high - second.value)
    above = np.hypot(first.high - first.value, second.value - second.low)
    return Interval(difference, float(difference - below), float(difference + above))


def draw_parts(groups: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Returns the part of every row `[N]`: at most `NUM_PARTS` and `most`, drawn at random, with groups whole."""
    codes = np.unique(groups, return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(codes.max() + 1)
    return order[codes] % min(NUM_PARTS, most)


def patient_groups(patient_ids: np.ndarray) -> np.ndarray:
    """Returns group codes `[N]`; a missing patient (a negative code) is a group of its own."""
    own = np.arange(len(patient_ids)) + (patient_ids.max(initial=0) + 1)
    return np.unique(np.where(patient_ids < 0, own, patient_ids), return_inverse=True)[1]


def _resamples(groups: np.ndarray, seed: int, num_resamples: int) -> Iterator[np.ndarray]:
    """Yields ascending row numbers: every row as often as its group is drawn."""
    rng = np.random.default_rng(seed)
    codes = np.unique(groups, return_inverse=True)[1]
    count = codes.max(initial=-1) + 1
    for _ in range(num_resamples):
        times = np.bincount(rng.integers(0, count, size=count), minlength=count)
        yield np.repeat(np.arange(len(codes)), times[codes])
