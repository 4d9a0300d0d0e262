"""Precision, recall, density and coverage: whether images lie among real ones, and real ones among them."""

from dataclasses import replace

import numpy as np

from melgan.metrics.comparison import NEAREST, Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.intervals import Interval, jackknife_interval, share_interval, wider_share_interval
from melgan.metrics.similarities import Neighbourhoods, compare


def prdc(features: np.ndarray, reference: np.ndarray, nearest: int = NEAREST) -> dict[str, float]:
    """Returns precision and recall (Kynkaanniemi et al. 2019, eq. 1 to 3), density and coverage (Naeem et al. 2020,
    eq. 4 and 6).

    Arguments:
      features: `[N, F]`.
      reference: features of real images `[M, F]`.
      nearest: k of the k-th neighbour that ends a neighbourhood; less than N and M.
    """
    return shares_from(compare(features, reference, nearest=nearest).neighbourhoods, nearest)


def shares_from(neighbourhoods: Neighbourhoods, nearest: int) -> dict[str, float]:
    """Returns the four from neighbourhoods that end at the k-th neighbour."""
    return {
        "precision": float(neighbourhoods.within_reference.mean()),
        "recall": float(neighbourhoods.within_judged.mean()),
        "density": float(neighbourhoods.balls_around.mean() / nearest),
        "coverage": float(neighbourhoods.covered.mean()),
    }


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the four; of shares, the wider of the jackknife's interval and that of a share of so many images.

    The first knows that both sides are drawn, the second that a share of 0 or 1 of few images is not certain.
    """
    judged, reference = comparison.judged, comparison.reference
    if min(len(judged), len(reference)) <= NEAREST:
        raise MetricUnavailable(f"a neighbourhood of {NEAREST} needs more than {NEAREST} images on both sides")
    found, left_out = comparison.similarities.neighbourhoods, comparison.similarities.left_out
    enough = all(min(len(part.balls_around), len(part.covered)) > NEAREST for part in left_out)
    figures = [shares_from(part, NEAREST) for part in left_out] if enough else []
    by_parts = {
        name: jackknife_interval(value, [part[name] for part in figures])
        for name, value in shares_from(found, NEAREST).items()
    }
    shares = {
        "precision": share_interval(found.within_reference, judged.groups),
        "recall": share_interval(found.within_judged, reference.groups),
        "coverage": share_interval(found.covered, reference.groups),
    }
    density = replace(by_parts["density"], low=np.maximum(by_parts["density"].low, 0.0))  # which keeps NaN
    return {"density": density} | {name: wider_share_interval(share, by_parts[name]) for name, share in shares.items()}
