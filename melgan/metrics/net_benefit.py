"""Net benefit: what a decision by a probability is worth. Vickers and Elkin 2006."""

import numpy as np


def net_benefit(positive: np.ndarray, probabilities: np.ndarray, threshold: float) -> float:
    """Returns the true positives less the false ones, weighed by the odds of the threshold, each an image; NaN at 1.

    Treating nobody has 0, a perfect classifier the fraction of the class.

    Arguments:
      positive: which images are of the class `[N]`, bool.
      probabilities: of the class `[N]`, calibrated.
      threshold: the probability from which on one treats, from 0 up to 1.
    """
    if threshold >= 1:
        return float("nan")
    treated = probabilities >= threshold
    false_positives = np.mean(treated & ~positive)
    return float(np.mean(treated & positive) - false_positives * threshold / (1 - threshold))


def net_benefit_at_prior(positive: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the net benefit at the fraction of the class, where treating all is worth as little as treating none."""
    prior = float(np.mean(positive))
    return net_benefit(positive, probabilities, prior) if prior else float("nan")
