"""What the best of several arms is worth, without the luck of having been the best.

The arm is chosen by one half of the patients and evaluated by the other, and the other way round.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melgan.metrics.intervals import Interval


@dataclass(frozen=True)
class Choice:
    """The arms that either half of the patients chose, by number, and the difference with its 95 % interval."""

    chosen: tuple[int, int]
    difference: Interval


def cross_fitted_choice(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> Choice:
    """Returns the choice of one of several arms.

    Arguments:
      first: the difference of each arm from the baseline in each resample, by the first half of the patients `[B]`.
      second: by the second half.
    """
    by_half = np.stack([np.stack(first), np.stack(second)])  # [2, K, B]
    chosen = np.nan_to_num(by_half, nan=-np.inf).argmax(axis=1)
    of_others = np.take_along_axis(by_half[::-1], chosen[:, None], axis=1)[:, 0].mean(axis=0)
    low, high = np.nanquantile(of_others[1:], [0.025, 0.975])  # NaN where a half has no patient with the class
    return Choice(tuple(int(k) for k in chosen[:, 0]), Interval(float(of_others[0]), float(low), float(high)))
