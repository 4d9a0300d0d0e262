"""Precision, recall, density and coverage: whether images lie among real ones, and real ones among them."""

from dataclasses import replace

import numpy as np

from melgan.metrics.comparison import NEAREST, Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.intervals import Interval, fraction_interval, jackknife_interval, wider_fraction_interval
from melgan.metrics.similarities import Neighbourhoods, compare


def prdc(features: np.ndarray, reference: np.ndarray, nearest: int = NEAREST) -> dict[str, float]:
    """Returns precision and recall (Kynkaanniemi et al. 2019, eq. 1 to 3), density and coverage (Naeem et al. 2020,
    eq. 4 and 6).

    Arguments:
      features: `[N, F]`.
      reference: features of real images `[M, F]`.
      nearest: k of the k-th neighbour that ends a neighbourhood; less than N and M.
    """
    return metrics_of(compare(features, reference, nearest=nearest).neighbourhoods, nearest)


def metrics_of(neighbourhoods: Neighbourhoods, nearest: int) -> dict[str, float]:
    """Returns the four from neighbourhoods that end at the k-th neighbour."""
    return {
        "precision": float(neighbourhoods.within_reference.mean()),
        "recall": float(neighbourhoods.within_evaluated.mean()),
        "density": float(neighbourhoods.balls_around.mean() / nearest),
        "coverage": float(neighbourhoods.covered.mean()),
    }


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the four; fractions have the wider of two intervals: the jackknife's, and Wilson's for so many images.

    The first knows that both sides are drawn, the second that a fraction of 0 or 1 of few images is not certain.
    """
    evaluated, reference = comparison.evaluated, comparison.reference
    if min(len(evaluated), len(reference)) <= NEAREST:
        raise MetricUnavailable(f"a neighbourhood of {NEAREST} needs more than {NEAREST} images on both sides")
    found, left_out = comparison.similarities.neighbourhoods, comparison.similarities.left_out
    enough = all(min(len(part.balls_around), len(part.covered)) > NEAREST for part in left_out)
    metrics = [metrics_of(part, NEAREST) for part in left_out] if enough else []
    by_parts = {
        name: jackknife_interval(value, [part[name] for part in metrics])
        for name, value in metrics_of(found, NEAREST).items()
    }
    fractions = {
        "precision": fraction_interval(found.within_reference, evaluated.groups),
        "recall": fraction_interval(found.within_evaluated, reference.groups),
        "coverage": fraction_interval(found.covered, reference.groups),
    }
    density = replace(by_parts["density"], low=np.maximum(by_parts["density"].low, 0.0))  # which keeps NaN
    wider = {name: wider_fraction_interval(interval, by_parts[name]) for name, interval in fractions.items()}
    return {"density": density} | wider
