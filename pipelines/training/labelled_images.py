"""Which images keep their labels, where some shall be hidden."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfrecords_tools.foundation.metadata import MISSING


def choose_labelled(labels: np.ndarray, patients: np.ndarray, fraction: float, seed: int | Sequence[int]) -> np.ndarray:
    """Returns which images keep their labels `[N]`, bool: a fraction of the patients, at random.

    Patients are drawn apart by the rarest class that they have an image of, so that each class keeps its fraction, and
    at least one patient, unless all of its patients have images of a rarer one. A larger fraction holds all images of a
    smaller one.

    Arguments:
      labels: `[N]`.
      patients: of the images `[N]`; one whose patient is `MISSING` is a patient of its own.
      fraction: in (0, 1].
      seed: of the order.
    """
    if fraction == 1:
        return np.full(len(labels), True)
    own = np.where(patients == MISSING, -1 - np.arange(len(labels)), patients)
    ranks = np.argsort(np.argsort(np.bincount(labels), kind="stable"), kind="stable")  # of classes, the rarest first
    rarest = pd.Series(ranks[labels]).groupby(own).transform("min").to_numpy()
    order = np.random.default_rng(seed).permutation(len(labels))
    kept = np.full(len(labels), False)
    for rank in np.unique(rarest):
        of_stratum = pd.unique(own[order][rarest[order] == rank])
        chosen = of_stratum[: max(round(fraction * len(of_stratum)), 1)]
        kept |= np.isin(own, chosen)
    return kept
