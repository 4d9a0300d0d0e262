"""Copies: judged images that lie nearer to a training image than real images that were held out ever do.

The idea of Meehan et al. 2020, section 3: the distances of generated images to the training set are held against those
of real images that come from the same place but were not trained on. Turned and mirrored copies count as copies.
"""

from dataclasses import dataclass

import numpy as np
import scipy.stats

from melgan.errors import CannotJudge
from melgan.metrics.comparison import Comparison
from melgan.metrics.dihedral import views_of
from melgan.metrics.extractors import pixel_vectors
from melgan.metrics.intervals import Interval, share_interval
from melgan.metrics.neighbours import nearest
from melgan.metrics.samples import Samples, require_finite

# The share of further real images of a class that would lie nearer to a training image than the threshold.
SUSPICIOUS = 0.05


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
    """What was found in one space: where each judged image is nearest, and the threshold of its class `[N]`."""

    near: Nearness
    thresholds: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """Which images are suspiciously near `[N]`."""
        return self.near.distances < self.thresholds


class CopyDetector:
    """Looks for copies in two spaces, that of the extractor's features and that of pixels.

    Arguments:
      held_out: real images that a generator has not seen, with views.
      training: real images that it was trained on.
    """

    def __init__(self, held_out: Samples, training: Samples) -> None:
        self._labels = held_out.labels
        self._training = {"features": training.features, "pixels": pixel_vectors(training.images)}
        self._held_out = self._nearest(held_out)

    def find(self, judged: Samples) -> dict[str, Copies]:
        """Returns what was found among images, with views, by space.

        Raises:
          CannotJudge: if no image of a class is held out.
        """
        return {
            space: Copies(near, self._thresholds(self._held_out[space], judged.labels))
            for space, near in self._nearest(judged).items()
        }

    def find_held_out(self) -> dict[str, Copies]:
        """Returns what is found among the held-out images themselves: at most one in twenty of a class."""
        return {space: Copies(near, self._thresholds(near, self._labels)) for space, near in self._held_out.items()}

    def _nearest(self, images: Samples) -> dict[str, Nearness]:
        views = {"features": images.views, "pixels": pixel_views(images.images)}
        return {space: nearest_training_image(views[space], self._training[space]) for space in views}

    def _thresholds(self, held_out: Nearness, labels: np.ndarray) -> np.ndarray:
        thresholds = np.zeros(len(labels))
        for label in np.unique(labels):
            own = self._labels == label
            if not own.any():
                raise CannotJudge("no real image of this class was held out, so there is no distance to compare with")
            thresholds[labels == label] = threshold(held_out.distances[own])
        return thresholds


def pixel_views(images: np.ndarray) -> np.ndarray:
    """Returns the pixels of every view of images as vectors `[N, 8, F]`."""
    return np.stack([pixel_vectors(view) for view in views_of(images)], axis=1)


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns, in feature space and in pixels, the share of images that lie suspiciously near to a training image.

    With it comes the probability that as many or more would do so if they lay where held-out images lie (Fisher's exact
    test, one-sided).
    """
    if comparison.training is None:
        raise CannotJudge("copies are looked for in images of a generator whose training images are known")
    require_finite(comparison.training.features, "training")
    require_finite(comparison.judged.views, "judged")
    require_finite(comparison.reference.views, "real")
    detector = CopyDetector(comparison.reference, comparison.training)
    held_out = detector.find_held_out()
    figures = {}
    for space, copies in detector.find(comparison.judged).items():
        # With those that set the thresholds: among as many further images, so many would fall short of them.
        expected = held_out[space].near.distances <= held_out[space].thresholds
        table = [[side.sum(), (~side).sum()] for side in (copies.found, expected)]
        probability = float(scipy.stats.fisher_exact(table, alternative="greater")[1])
        figures[f"copies_{space}"] = share_interval(copies.found, comparison.judged.groups)
        figures[f"copies_{space}_p"] = Interval(probability, float("nan"), float("nan"))
    return figures
