"""Precision, recall, density and coverage: whether images lie among real ones, and real ones among them."""

import numpy as np

from melgan.errors import CannotJudge
from melgan.metrics.comparison import NEAREST, Comparison
from melgan.metrics.intervals import Interval, bootstrap_interval, share_interval
from melgan.metrics.similarities import Similarities, compare


def prdc(features: np.ndarray, reference: np.ndarray, nearest: int = NEAREST) -> dict[str, float]:
    """Returns precision and recall (Kynkaanniemi et al. 2019, eq. 1 to 3), density and coverage (Naeem et al. 2020,
    eq. 4 and 6).

    Arguments:
      features: `[N, F]`.
      reference: features of real images `[M, F]`.
      nearest: k of the k-th neighbour that ends a neighbourhood; less than N and M.
    """
    return shares_from(compare(features, reference, nearest=nearest), nearest)


def shares_from(similarities: Similarities, nearest: int) -> dict[str, float]:
    """Returns the four from neighbourhoods that end at the k-th neighbour."""
    return {
        "precision": float(similarities.within_reference.mean()),
        "recall": float(similarities.within_judged.mean()),
        "density": float(similarities.balls_around.mean() / nearest),
        "coverage": float(similarities.covered.mean()),
    }


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the four; intervals take the neighbourhoods as given, and the images that lie in them as drawn."""
    judged, reference = comparison.judged, comparison.reference
    if min(len(judged), len(reference)) <= NEAREST:
        raise CannotJudge(f"a neighbourhood of {NEAREST} needs more than {NEAREST} images on both sides")
    similarities = comparison.similarities
    density = similarities.balls_around / NEAREST
    return {
        "precision": share_interval(similarities.within_reference, judged.groups),
        "recall": share_interval(similarities.within_judged, reference.groups),
        "density": bootstrap_interval(lambda rows: float(np.mean(density[rows])), judged.groups, comparison.seed),
        "coverage": share_interval(similarities.covered, reference.groups),
    }
