"""Multi-scale structural similarity between pairs of images of one class: high where they are all alike."""

import numpy as np
import tensorflow as tf

from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.intervals import Interval, jackknife_interval

# Wang et al. 2003, section 3.2: the weights of five scales, from the finest on.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 11
_MAX_PAIRS = 2000
_BATCH = 64


def num_scales(image_size: int) -> int:
    """Returns how many scales fit: at the coarsest, the window of 11 pixels must lie inside the image.

    Five from 176 px on; four at 128 px, three at 64 px, two at 32 px.
    """
    return sum(image_size >> scale >= _WINDOW for scale in range(len(WEIGHTS)))


def ms_ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the similarity of each pair, in [0, 1]. Wang et al. 2003, eq. 7.

    Where fewer than five scales fit, the weights of those that do are divided by their sum.

    Arguments:
      first: uint8 images `[N, H, W, C]`, H and W at least 11.
      second: as many.
    """
    weights = np.array(WEIGHTS[: num_scales(min(first.shape[1:3]))])
    similarities = [
        tf.image.ssim_multiscale(
            tf.constant(first[start : start + _BATCH]),
            tf.constant(second[start : start + _BATCH]),
            max_val=255,
            power_factors=tuple(weights / weights.sum()),
            filter_size=_WINDOW,
        ).numpy()
        for start in range(0, len(first), _BATCH)
    ]
    return np.concatenate([np.zeros(0), *similarities])


def draw_pairs(count: int, most: int, seed: int) -> np.ndarray:
    """Returns different pairs of row numbers of `count` images `[P, 2]`: all, or `most` drawn at random."""
    total = count * (count - 1) // 2
    if total <= most:
        return np.stack(np.triu_indices(count, 1), axis=1)
    # 10,000 images have 50 million pairs, so numbers are drawn and only then made pairs: (0, 1), (0, 2), (1, 2), ...
    numbers = np.random.default_rng(seed).choice(total, most, replace=False)
    second = ((1 + np.sqrt(1 + 8 * numbers)) // 2).astype(np.int64)
    return np.stack([numbers - second * (second - 1) // 2, second], axis=1)


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the mean over pairs of the evaluated images of a class; over all classes, the mean of theirs.

    Odena et al. 2017, section 4.2.
    """
    if min(comparison.evaluated.images.shape[1:3]) < _WINDOW:
        raise MetricUnavailable(f"images of less than {_WINDOW} px have no structure to compare")
    parts, pairs, similarities = comparison.evaluated_parts, [], []
    for label in np.unique(comparison.evaluated.labels):
        rows = np.flatnonzero(comparison.evaluated.labels == label)
        own, values = _of_class(comparison.whole, label)
        pairs.append(rows[own])
        similarities.append(values)
    if not any(len(own) for own in pairs):
        raise MetricUnavailable("no class has two images to compare")
    left_out = [
        _mean_of_classes(similarities, [(parts[own] != part).all(axis=1) for own in pairs])
        for part in range(parts.max() + 1)
    ]
    everything = [np.ones(len(own), bool) for own in pairs]
    return {"ms_ssim": jackknife_interval(_mean_of_classes(similarities, everything), left_out)}


def _of_class(whole: Comparison, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns pairs of rows among the evaluated images of a class `[P, 2]`, and their similarities `[P]`."""

    def compare_pairs() -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(whole.evaluated.labels == label)
        pairs, images = draw_pairs(len(rows), _MAX_PAIRS, whole.seed), whole.evaluated.images
        batches = [rows[pairs[start : start + _BATCH]] for start in range(0, len(pairs), _BATCH)]  # as pairs are many
        similarities = [ms_ssim(images[batch[:, 0]], images[batch[:, 1]]) for batch in batches]
        return pairs, np.concatenate([np.zeros(0), *similarities])

    return whole.once(f"similarities of pairs of class {label}", compare_pairs)


def _mean_of_classes(similarities: list[np.ndarray], kept: list[np.ndarray]) -> float:
    means = [np.mean(own[rows]) for own, rows in zip(similarities, kept, strict=True) if rows.any()]
    return float(np.mean(means)) if means else float("nan")
