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
from melgan.metrics.samples import Samples

# The share of real held-out images of a class that lie nearer to a training image than the threshold.
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
    """Returns the distance that one in twenty held-out images of a class fall short of, none of fewer than twenty."""
    return float(np.sort(held_out_distances)[int(SUSPICIOUS * len(held_out_distances))])


def suspicious(judged: Nearness, labels: np.ndarray, held_out: Nearness, held_out_labels: np.ndarray) -> np.ndarray:
    """Returns which judged images `[N]` lie nearer than the threshold of their class, which held-out images set.

    Raises:
      CannotJudge: if no image of a class is held out.
    """
    found = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = held_out_labels == label
        if not own.any():
            raise CannotJudge("no real image of this class was held out, so there is no distance to compare with")
        found |= (labels == label) & (judged.distances < threshold(held_out.distances[own]))
    return found


@dataclass(frozen=True)
class Spaces:
    """Where copies are looked for: views `[N, V, F]` of judged and held-out images, training vectors `[M, F]`."""

    judged: np.ndarray
    held_out: np.ndarray
    training: np.ndarray


def spaces(judged: Samples, held_out: Samples, training: Samples) -> dict[str, Spaces]:
    """Returns the spaces in which copies are looked for: the extractor's, and pixels."""
    return {
        "features": Spaces(judged.views, held_out.views, training.features),
        "pixels": Spaces(pixel_views(judged.images), pixel_views(held_out.images), pixel_vectors(training.images)),
    }


def pixel_views(images: np.ndarray) -> np.ndarray:
    """Returns the pixels of every view of images as vectors `[N, 8, F]`."""
    return np.stack([pixel_vectors(view) for view in views_of(images)], axis=1)


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns, in feature space and in pixels, the share of images that lie suspiciously near to a training image.

    With it comes the probability that as many or more would do so if they lay where held-out images lie (Fisher's exact
    test, one-sided).
    """
    judged, held_out, training = comparison.judged, comparison.reference, comparison.training
    if training is None:
        raise CannotJudge("copies are looked for in images of a generator whose training images are known")
    figures = {}
    for name, space in spaces(judged, held_out, training).items():
        near = nearest_training_image(space.judged, space.training)
        held_out_near = nearest_training_image(space.held_out, space.training)
        found = suspicious(near, judged.labels, held_out_near, held_out.labels)
        expected = suspicious(held_out_near, held_out.labels, held_out_near, held_out.labels)
        table = [[found.sum(), (~found).sum()], [expected.sum(), (~expected).sum()]]
        probability = float(scipy.stats.fisher_exact(table, alternative="greater")[1])
        figures[f"copies_{name}"] = share_interval(found, judged.groups)
        figures[f"copies_{name}_p"] = Interval(probability, float("nan"), float("nan"))
    return figures
