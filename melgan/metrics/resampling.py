"""Resamples of patients and of runs, drawn once and used for all arms, so that every difference is a paired one.

The first resample of each is the sample itself, so that the first value of whatever is computed is the estimate.
"""

import numpy as np


def patient_weights(groups: np.ndarray, positive: np.ndarray, num_resamples: int, seed: int) -> np.ndarray:
    """Returns how often each image counts in each resample, float32 `[1 + num_resamples, N]`.

    Patients with an image of the class, and those without, are drawn apart, as many of each as there are: a rare class
    is never lost. Davison and Hinkley 1997, section 3.2.

    Arguments:
      groups: patient of every image `[N]`.
      positive: which images are of the class `[N]`, bool.
      num_resamples: how many are drawn.
      seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    codes, strata = _strata(groups, positive)
    times = np.ones((1 + num_resamples, codes.max() + 1), np.float32)
    for stratum in strata:
        if len(stratum):
            even = np.full(len(stratum), 1 / len(stratum))
            times[1:, stratum] = rng.multinomial(len(stratum), even, size=num_resamples)
    return times[:, codes]


def run_weights(num_runs: int, num_resamples: int, seed: int) -> np.ndarray:
    """Returns the weight of each run in each resample, float64 `[1 + num_resamples, num_runs]`, each row of sum 1.

    One run fewer than there are is drawn, so that the variance of the mean is unbiased however few they are (Rao and Wu
    1988, section 3); a single run has the weight 1 always, which tells nothing of its luck.

    Arguments:
      num_runs: trainings that differ in their seed.
      num_resamples: how many are drawn.
      seed: of the draws.
    """
    weights = np.full((1 + num_resamples, num_runs), 1 / num_runs)
    if num_runs > 1:
        rng = np.random.default_rng(seed)
        weights[1:] = rng.multinomial(num_runs - 1, weights[0], size=num_resamples) / (num_runs - 1)
    return weights


def halves(groups: np.ndarray, positive: np.ndarray, seed: int) -> np.ndarray:
    """Returns which images are in the first half of the patients `[N]`, bool; those with the class are halved apart."""
    rng = np.random.default_rng(seed)
    codes, strata = _strata(groups, positive)
    is_first = np.zeros(codes.max() + 1, bool)
    for stratum in strata:
        is_first[rng.permutation(stratum)[: len(stratum) // 2]] = True
    return is_first[codes]


def _strata(groups: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Returns the code of the patient of every image `[N]`, and the codes of those with the class, and without."""
    codes = np.unique(groups, return_inverse=True)[1]
    has_positive = np.bincount(codes, positive) > 0
    return codes, (np.flatnonzero(has_positive), np.flatnonzero(~has_positive))
