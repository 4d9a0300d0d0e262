"""Frechet distance between Gaussians that are fitted to features, and what it would be with endless images."""

from collections.abc import Callable

import numpy as np
import scipy.linalg

from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.intervals import Interval, jackknife_interval
from melgan.metrics.samples import Samples

# The distance is computed for the whole, for halves and for quarters, and extrapolated to parts of no size.
_PARTS = (1, 2, 4)


def frechet_distance(features: np.ndarray, reference: np.ndarray) -> float:
    """Returns |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). Heusel et al. 2017, eq. 6.

    The last trace is the sum of the roots of the eigenvalues of C1 C2, which are those of L' C2 L with C1 = L L', a
    symmetric product; where there are fewer images than features, it is the sum of the singular values of X1 X2', with
    C = X' X, which is exact however singular the covariances are. In float64 throughout.

    Arguments:
      features: `[N, F]`.
      reference: `[M, F]`.

    Returns:
      NaN for fewer than two images on a side.
    """
    first, second = np.asarray(features, np.float64), np.asarray(reference, np.float64)
    if min(len(first), len(second)) < 2:
        return float("nan")
    means = np.sum((first.mean(axis=0) - second.mean(axis=0)) ** 2)
    first, second = _scaled_deviations(first), _scaled_deviations(second)
    traces = np.sum(first**2) + np.sum(second**2)
    return float(max(means + traces - 2.0 * _trace_of_root(first, second), 0.0))


def extrapolated_distance(features: np.ndarray, reference: np.ndarray) -> float:
    """Returns the distance extrapolated to endless images on both sides, NaN for fewer than 8 on one of them.

    Chong and Forsyth 2020, section 4: the bias is linear in 1/N, so a line through the distances of smaller samples is
    extended to 1/N = 0. Here the samples are disjoint parts, every second or fourth image, and both sides shrink alike,
    since here the real images are few as well; there they are 50,000 and stay whole.
    """
    if min(len(features), len(reference)) < 2 * _PARTS[-1]:
        return float("nan")
    means = [
        np.mean([frechet_distance(features[part::parts], reference[part::parts]) for part in range(parts)])
        for parts in _PARTS
    ]
    return float(np.polyval(np.polyfit(_PARTS, means, 1), 0.0))


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the distance."""
    return {"fid": _with_interval(frechet_distance, comparison)}


def estimate_extrapolated(comparison: Comparison) -> dict[str, Interval]:
    """Returns the distance extrapolated to endless images, which may be less than 0."""
    if min(len(comparison.evaluated), len(comparison.reference)) < 2 * _PARTS[-1]:
        raise MetricUnavailable(
            f"the line goes through quarters of the images, so it needs {2 * _PARTS[-1]} on both sides"
        )
    return {"fid_infinity": _with_interval(extrapolated_distance, comparison)}


def _with_interval(distance: Callable[[np.ndarray, np.ndarray], float], comparison: Comparison) -> Interval:
    value, *left_out = [
        distance(_by_class(comparison.evaluated, rows), _by_class(comparison.reference, real_rows))
        for rows, real_rows in (comparison.order, *comparison.leaving_parts_out())
    ]
    return jackknife_interval(value, left_out)


def _by_class(samples: Samples, rows: np.ndarray) -> np.ndarray:
    """Returns the features of some rows class by class, so that parts of them have the same mix of classes."""
    return samples.features[rows[np.argsort(samples.labels[rows], kind="stable")]]


def _scaled_deviations(vectors: np.ndarray) -> np.ndarray:
    """Returns X with X' X the covariance."""
    return (vectors - vectors.mean(axis=0)) / np.sqrt(len(vectors) - 1)


def _trace_of_root(first: np.ndarray, second: np.ndarray) -> float:
    if min(len(first), len(second)) <= first.shape[1]:
        return float(np.sum(scipy.linalg.svdvals(first @ second.T)))
    covariance, other = first.T @ first, second.T @ second
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:  # singular: a feature that never varies, or follows from others
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
    eigenvalues = np.linalg.eigvalsh(root.T @ other @ root)
    return float(np.sum(np.sqrt(np.maximum(eigenvalues, 0.0))))
