"""Calibration: whether images that are given a probability are of the class as often as it says."""

import numpy as np

NUM_BINS = 15


def brier_score(positive: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean squared difference of the probability from 1 for the class, else 0. Brier 1950, halved.

    Arguments:
      positive: which images are of the class `[N]`, bool.
      probabilities: of the class `[N]`.
    """
    return float(np.mean(np.square(probabilities - positive)))


def calibration_error(positive: np.ndarray, probabilities: np.ndarray, num_bins: int = NUM_BINS) -> float:
    """Returns the expected calibration error over bins of equally many images.

    Naeini et al. 2015, with the bins of Nixon et al. 2019: where a class is rare, bins of equal width are empty but
    for the first. It is never below 0, so few images make it too large.

    Arguments:
      positive: which images are of the class `[N]`, bool.
      probabilities: of the class `[N]`.
      num_bins: how many bins.
    """
    bins = equal_mass_bins(probabilities, num_bins)
    return float(np.abs(np.bincount(bins, probabilities - positive)).sum() / len(bins))


def equal_mass_bins(values: np.ndarray, num_bins: int = NUM_BINS) -> np.ndarray:
    """Returns the bin of every value `[N]`, from 0, as many in each as ties allow: equal values share one."""
    order = np.argsort(values)
    ascending = values[order]
    starts = np.concatenate([[0], np.flatnonzero(ascending[1:] != ascending[:-1]) + 1])
    ends = np.concatenate([starts[1:], [len(values)]])
    middles = np.repeat((starts + ends) / 2, ends - starts)
    bins = np.empty(len(values), np.int64)
    bins[order] = (middles * num_bins / len(values)).astype(np.int64)
    return bins
