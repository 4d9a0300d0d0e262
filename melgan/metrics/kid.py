"""Kernel distance: the unbiased squared maximum mean discrepancy with a cubic kernel. Binkowski et al. 2018."""

import numpy as np

from melgan.metrics.comparison import Comparison
from melgan.metrics.intervals import Interval, jackknife_interval
from melgan.metrics.similarities import Similarities, compare


def kernel_distance(features: np.ndarray, reference: np.ndarray) -> float:
    """Returns the distance over all pairs of images, that is with subsets as large as the samples; it may be negative.

    Binkowski et al. 2018, eq. 4 (kernel) and the unbiased estimator of Gretton et al. 2012, eq. 3. The mean over
    subsets, by which the metric is often computed, estimates the same from fewer pairs.

    Arguments:
      features: `[N, F]`, N at least 2.
      reference: `[M, F]`, M at least 2.
    """
    similarities = compare(features, reference, nearest=1)
    return distance_from(similarities, np.array([len(features)]), np.array([len(reference)]))


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the distance; leaving parts of the images out costs nothing, as the sums are known for each part."""
    parts, reference_parts = comparison.parts
    counts, reference_counts = np.bincount(parts), np.bincount(reference_parts)
    similarities = comparison.similarities
    kept = np.ones(len(counts), bool)
    value = distance_from(similarities, counts, reference_counts)
    left_out = []
    for part in range(len(counts)):
        kept[part] = False
        left_out.append(distance_from(similarities, counts, reference_counts, kept))
        kept[part] = True
    return {"kid": jackknife_interval(value, left_out)}


def distance_from(
    similarities: Similarities, counts: np.ndarray, reference_counts: np.ndarray, kept: np.ndarray | None = None
) -> float:
    """Returns the distance of the images in some parts.

    Arguments:
      similarities: with kernel sums for G parts.
      counts: images of each part `[G]`.
      reference_counts: the same of the reference `[G]`.
      kept: which parts count `[G]`; all by default.

    Returns:
      NaN for fewer than two images on a side.
    """
    kept = np.ones(len(counts), bool) if kept is None else kept
    pairs = np.ix_(kept, kept)
    count, reference_count = counts[kept].sum(), reference_counts[kept].sum()
    if min(count, reference_count) < 2:
        return float("nan")
    return float(
        similarities.evaluated_sums[pairs].sum() / (count * (count - 1))
        + similarities.reference_sums[pairs].sum() / (reference_count * (reference_count - 1))
        - 2.0 * similarities.cross_sums[pairs].sum() / (count * reference_count)
    )
