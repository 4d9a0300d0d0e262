"""Metrics of images that were made from other images: what was kept, what was changed, what was hidden in them.

Errors are in grey levels, of uint8 images, and one an image, so that `bootstrap_interval` can give them an interval.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from melgan.metrics.classification import auc
from melgan.metrics.cross_validation import mean_over_folds
from melgan.metrics.intervals import Interval, bootstrap_interval, draw_parts, fraction_interval
from melgan.metrics.memorisation import threshold
from melgan.metrics.neighbours import blocks, squared_distances, squared_norms

_RIM = 5 / 64  # of the side: how wide the rim of an image is
_CORNER = 1 / 8  # of the side: that of a square in each corner
_DARK = 50  # grey levels of the brightest channel, below which a pixel may be the dark corner of a dermatoscope
_NUM_FOLDS = 5


def grey_level_errors(images: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Returns the mean absolute difference of each image from another, float64 `[N]` in grey levels.

    Of images and their true counterfactuals it is the error of a translation, of sources and what came back from the
    other class the error of a cycle.

    Arguments:
      images, truths: uint8 `[N, H, W, C]`.
    """
    return np.abs(images.astype(np.int16) - truths).mean(axis=(1, 2, 3))


def outside_changes(images: np.ndarray, sources: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Returns the mean absolute difference of each image from its source outside of a mask, `[N]` in grey levels.

    Arguments:
      images, sources: uint8 `[N, H, W, C]`.
      masks: `[N, H, W]`, other than 0 where a lesion is; of one that leaves nothing, the change is NaN.
    """
    differences = np.abs(images.astype(np.int16) - sources).mean(axis=3)
    outside = masks == 0
    counts = outside.sum(axis=(1, 2))
    sums = np.where(outside, differences, 0).sum(axis=(1, 2))
    return np.divide(sums, counts, out=np.full(len(images), np.nan), where=counts > 0)


def dice(masks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns by how much masks overlap, `[N]` from 0 to 1; 1 where both are empty. Dice 1945.

    Arguments:
      masks, others: `[N, H, W]`, other than 0 where a lesion is.
    """
    masks, others = masks != 0, others != 0
    common, total = (masks & others).sum(axis=(1, 2)), masks.sum(axis=(1, 2)) + others.sum(axis=(1, 2))
    return np.divide(2 * common, total, out=np.ones(len(masks)), where=total > 0)


@dataclass(frozen=True)
class CycleErrors:
    """How far images come back from the other class, `[N]` in grey levels: as they are, and stored as JPEG between."""

    plain: np.ndarray
    through_jpeg: np.ndarray

    @property
    def hidden(self) -> np.ndarray:
        """By how much the way back is worse without what JPEG does not store, `[N]`; 0 if nothing was hidden there."""
        return self.through_jpeg - self.plain

    @property
    def ratio(self) -> float:
        """The mean error through JPEG over the mean error; 1 if nothing was hidden."""
        return float(self.through_jpeg.mean() / self.plain.mean())


def cycle_errors(
    sources: np.ndarray, translated: np.ndarray, back: Callable[[np.ndarray], np.ndarray], *, quality: int = 95
) -> CycleErrors:
    """Returns whether a translator hides its sources in what is hardly seen of its images.

    Chu et al. 2017, "CycleGAN, a master of steganography" (arXiv 1712.02950): the way back may be right because fine
    patterns tell of the source. They do not survive JPEG, of which what is seen hardly changes.

    Arguments:
      sources: uint8 `[N, H, W, 3]`.
      translated: what became of them.
      back: translates such images into the class of the sources.
      quality: of the JPEG, which has full colour resolution, as in shards.
    """
    stored = through_jpeg(translated, quality)
    return CycleErrors(grey_level_errors(back(translated), sources), grey_level_errors(back(stored), sources))


def through_jpeg(images: np.ndarray, quality: int) -> np.ndarray:
    """Returns uint8 images `[N, H, W, 3]` as they are read from JPEG of a quality, from 1 to 100."""
    encoded = (tf.io.encode_jpeg(image, quality=quality, chroma_downsampling=False) for image in images)
    decoded = [tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE").numpy() for data in encoded]
    return np.stack(decoded) if decoded else images


def rim_auc(images: np.ndarray, others: np.ndarray, groups: np.ndarray | None = None, *, seed: int = 0) -> Interval:
    """Returns how well two sets of images are told apart by what has nothing to do with a lesion; 0.5: not at all.

    By a logistic regression of the colours of the rim and the darkness of the corners, on images that it was not
    trained on, the mean over folds. A translator that makes its images known by these invents a shortcut.

    Arguments:
      images: uint8 `[N, H, W, 3]`.
      others: uint8 `[M, H, W, 3]`.
      groups: of the images, then of the others `[N + M]`; those of a group are in one fold. An image and its source
        must be of one group: what is learnt of the one is wrong for the other. By default every image is its own.
      seed: of folds and resamples.
    """
    features = np.concatenate([_rim_features(images), _rim_features(others)])
    is_other = np.repeat([False, True], [len(images), len(others)])
    groups = np.arange(len(features)) if groups is None else groups
    folds = draw_parts(groups, _NUM_FOLDS, seed)
    scores = np.zeros(len(features))
    for fold in np.unique(folds):
        own = folds == fold
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        scores[own] = classifier.fit(features[~own], is_other[~own]).decision_function(features[own])
    return bootstrap_interval(
        lambda rows: mean_over_folds(auc, is_other[rows], scores[rows], folds[rows]), groups, seed
    )


def source_ranks(views: np.ndarray, real: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Returns which fraction of all other real images lies nearer to each image than its own source, `[N]`.

    0: the own source is the nearest, so whose picture an image was made of is found at once; 0.5 on average: it is not
    linked to it. Equally near images count half. Of turned and mirrored views, the nearest counts.

    Arguments:
      views: features of every view of the images `[N, V, F]`.
      real: features of real images `[M, F]`, at least 2.
      sources: row of each image's own source `[N]`.
    """
    real = np.asarray(real, np.float64)
    norms = squared_norms(real)
    ranks = np.zeros(len(views))
    for rows in blocks(len(views)):
        own = np.asarray(views[rows], np.float64)
        flat = own.reshape(-1, own.shape[-1])
        squared = squared_distances(flat @ real.T, squared_norms(flat), norms)
        squared = squared.reshape(*own.shape[:2], len(real)).min(axis=1)
        to_source = np.take_along_axis(squared, sources[rows][:, None], axis=1)
        nearer, as_near = (squared < to_source).sum(axis=1), (squared == to_source).sum(axis=1) - 1
        ranks[rows] = (nearer + as_near / 2) / (len(real) - 1)
    return ranks


def source_distances(views: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Returns how far images lie from their own source, `[N]`; of turned and mirrored views, the nearest counts.

    Arguments:
      views: features of every view of the images `[N, V, F]`.
      sources: features of each image's own source `[N, F]`.
    """
    return np.linalg.norm(views - sources[:, None], axis=2).min(axis=1)


def distances_apart(views: np.ndarray, real: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns how far some real images lie from the nearest other one, `[M]`, whichever of their views is the nearest.

    Arguments:
      views: features of every view of these images `[M, V, F]`.
      real: features of all real images `[N, F]`, at least 2.
      rows: of these images among all `[M]`.
    """
    flat = views.reshape(-1, views.shape[-1])
    squared = squared_distances(flat @ real.T, squared_norms(flat), squared_norms(real))
    squared = squared.reshape(*views.shape[:2], -1).min(axis=1)
    squared[np.arange(len(rows)), rows] = np.inf
    return np.sqrt(squared.min(axis=1))


def near_source(distances: np.ndarray, real_distances: np.ndarray, groups: np.ndarray) -> Interval:
    """Returns the fraction of images that lie suspiciously near to their own source.

    That is nearer than one in twenty real images would lie to another one, see `melgan.metrics.memorisation`.

    Arguments:
      distances: of the images from their source, `[N]` (`source_distances`).
      real_distances: of real images from the nearest other one, `[M]` (`distances_apart`), or from the nearest training
        image.
      groups: of the images, such as those of one source `[N]`.
    """
    return fraction_interval(distances < threshold(real_distances), groups)


def _rim_features(images: np.ndarray) -> np.ndarray:
    """Returns mean and deviation of each channel of the rim, and of each corner how light and how dark, `[N, 14]`."""
    side = images.shape[1]
    rim, corner = max(1, round(_RIM * side)), max(1, round(_CORNER * side))
    inside = np.zeros(images.shape[1:3], bool)
    inside[rim:-rim, rim:-rim] = True
    pixels = images[:, ~inside].astype(np.float64)
    ends = (slice(None, corner), slice(-corner, None))
    corners = np.stack([images[:, rows, columns] for rows in ends for columns in ends], axis=1)
    lightness = corners.mean(axis=(2, 3, 4))
    darkness = (corners.max(axis=4) < _DARK).mean(axis=(2, 3))
    return np.concatenate([pixels.mean(axis=1), pixels.std(axis=1), lightness, darkness], axis=1)
