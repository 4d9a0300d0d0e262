"""Copies: evaluated images that lie nearer to a training image than real images that were held out ever do.

The idea of Meehan et al. 2020, section 3: the distances of generated images to the training set are held against those
of real images that come from the same place but were not trained on. Turned and mirrored copies count as copies.
"""

from dataclasses import dataclass

import numpy as np
import scipy.stats

from melgan.metrics.comparison import Comparison
from melgan.metrics.dihedral import views_of
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.extractors import pixel_vectors
from melgan.metrics.intervals import Interval, fraction_interval
from melgan.metrics.neighbours import nearest
from melgan.metrics.samples import Samples, require_finite

FEATURES, PIXELS = "features", "pixels"
# The fraction of further real images of a class that would lie nearer to a training image than the threshold.
SUSPICIOUS = 0.05
_NO_TRAINING = "copies are looked for in images of a generator whose training images are known"


@dataclass(frozen=True)
class Nearness:
    """The nearest training image of every image, `[N]` each: its row, its distance, and the view that lay there."""

    rows: np.ndarray
    distances: np.ndarray
    views: np.ndarray


def nearest_training_image(views: np.ndarray, training: np.ndarray) -> Nearness:
    """Returns the nearest training image of every image, whichever of its views is the nearest.

    Arguments:
      views: features of every view of the images `[N, V, F]`.
      training: features of the training images `[M, F]`.
    """
    count, num_views, _ = views.shape
    rows, distances = nearest(views.reshape(count * num_views, -1), training)
    distances = distances.reshape(count, num_views)
    best = distances.argmin(axis=1)
    own = np.arange(count)
    return Nearness(rows.reshape(count, num_views)[own, best], distances[own, best], best)


def threshold(held_out_distances: np.ndarray) -> float:
    """Returns the distance that one in twenty further images of a class would fall short of.

    One further image falls short of the k-th smallest of N distances with probability k / (N + 1). Where N is less than
    19, the threshold is the smallest, which more than one in twenty would fall short of.
    """
    rank = max(int(SUSPICIOUS * (len(held_out_distances) + 1)), 1)
    return float(np.sort(held_out_distances)[rank - 1])


@dataclass(frozen=True)
class Copies:
    """The nearest training image of each image in one space, and the threshold of its class `[N]`.

    The threshold is NaN where no image of the class was held out, and nothing is found there.
    """

    near: Nearness
    thresholds: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """True for images that are suspiciously near `[N]`."""
        return self.near.distances < self.thresholds


class CopyDetector:
    """Looks for copies in one space: the extractor's features, or pixels.

    Arguments:
      space: `FEATURES` or `PIXELS`.
      held_out: real images that a generator has not seen, with views.
      training: real images that it was trained on.
    """

    def __init__(self, space: str, held_out: Samples, training: Samples) -> None:
        self._space = space
        self._labels = held_out.labels
        self._training = training.features if space == FEATURES else pixel_vectors(training.images)
        self._held_out = self._nearest(held_out)

    def find(self, evaluated: Samples) -> Copies:
        """Returns the copies among images with views."""
        return Copies(self._nearest(evaluated), self._thresholds(evaluated.labels))

    def find_held_out(self, label: int) -> Copies:
        """Returns what is found among the held-out images of a class themselves: at most one in twenty."""
        own = self._labels == label
        near = Nearness(self._held_out.rows[own], self._held_out.distances[own], self._held_out.views[own])
        return Copies(near, self._thresholds(self._labels[own]))

    def _nearest(self, images: Samples) -> Nearness:
        views = images.views if self._space == FEATURES else pixel_views(images.images)
        return nearest_training_image(views, self._training)

    def _thresholds(self, labels: np.ndarray) -> np.ndarray:
        thresholds = np.full(len(labels), np.nan)
        for label in np.intersect1d(labels, self._labels):
            thresholds[labels == label] = threshold(self._held_out.distances[self._labels == label])
        return thresholds


def pixel_views(images: np.ndarray) -> np.ndarray:
    """Returns the pixels of every view of images as vectors `[N, 8, F]`."""
    return np.stack([pixel_vectors(view) for view in views_of(images)], axis=1)


def copies_of_class(whole: Comparison, label: int, space: str) -> Copies:
    """Returns what is found among the evaluated images of a class, computed once for a comparison of all classes."""
    detector = _detector(whole, space)
    return whole.once(f"copies of class {label} in {space}", lambda: detector.find(whole.evaluated.of_class(label)))


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the fraction of images that lie suspiciously near to a training image in feature space.

    With it comes the probability that as many or more would do so if they lay where held-out images lie (Fisher's exact
    test, one-sided).
    """
    if comparison.training is None or comparison.evaluated.views is None:
        raise MetricUnavailable(_NO_TRAINING)
    require_finite(comparison.training.features, "training")
    require_finite(comparison.evaluated.views, "evaluated")
    require_finite(comparison.reference.views, "real")
    return _near_training(comparison, FEATURES)


def estimate_pixels(comparison: Comparison) -> dict[str, Interval]:
    """Returns the same in pixels, at 32 px."""
    if comparison.training is None:
        raise MetricUnavailable(_NO_TRAINING)
    return _near_training(comparison, PIXELS)


def _near_training(comparison: Comparison, space: str) -> dict[str, Interval]:
    whole, evaluated = comparison.whole, comparison.evaluated
    labels = np.intersect1d(evaluated.labels, comparison.reference.labels)
    copies = [copies_of_class(whole, label, space).found for label in labels]
    held_out = [_detector(whole, space).find_held_out(label) for label in labels]
    found, groups = (
        np.concatenate(copies),
        np.concatenate([evaluated.groups[evaluated.labels == label] for label in labels]),
    )
    # With those that set the thresholds: among as many further images, so many would fall short of them.
    expected = np.concatenate([real.near.distances <= real.thresholds for real in held_out])
    table = [[side.sum(), (~side).sum()] for side in (found, expected)]
    probability = float(scipy.stats.fisher_exact(table, alternative="greater")[1])
    return {
        f"copies_{space}": fraction_interval(found, groups),
        f"copies_{space}_p": Interval(probability, float("nan"), float("nan")),
    }


def _detector(whole: Comparison, space: str) -> CopyDetector:
    return whole.once(f"detector in {space}", lambda: CopyDetector(space, whole.reference, whole.training))
