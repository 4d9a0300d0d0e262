"""Metrics of parts of the images, such as those of one sex, at the threshold that all of them have in common.

Whether a classifier serves a part as well as the others is told by its own area under the ROC curve, and by the
sensitivity and specificity that it has there: a clinic uses one threshold for all.
"""

from dataclasses import dataclass

import numpy as np

from melgan.metrics.areas import areas, fractions
from melgan.metrics.classification import AUC
from melgan.metrics.cross_validation import flagged_within_folds, ranks_within_folds
from melgan.metrics.intervals import NUM_RESAMPLES, Interval, percentile_interval
from melgan.metrics.resampling import patient_weights

SENSITIVITY, SPECIFICITY = "sensitivity", "specificity"


@dataclass(frozen=True)
class ScoredImages:
    """Images with the scores of a class.

    Attributes:
      positive: which are of the class `[N]`, bool.
      ranks: their scores as ranks in (0, 1) within their folds `[N]`.
      flagged: which count as of the class, at the threshold of their fold `[N]`, bool.
      groups: their patients `[N]`.
    """

    positive: np.ndarray
    ranks: np.ndarray
    flagged: np.ndarray
    groups: np.ndarray


def scored_images(
    positive: np.ndarray, scores: np.ndarray, folds: np.ndarray, groups: np.ndarray, *, specificity: float
) -> ScoredImages:
    """Returns images with scores that are comparable over the folds, and a threshold for each fold.

    Arguments:
      positive: which are of the class `[N]`, bool.
      scores: larger for the class `[N]`.
      folds: `[N]`.
      groups: patients `[N]`.
      specificity: that the threshold has at least, over all images of a fold.
    """
    flagged = flagged_within_folds(positive, scores, folds, specificity)
    return ScoredImages(positive, ranks_within_folds(scores[:, None], folds)[:, 0], flagged, groups)


def subgroup_metrics(images: ScoredImages, rows: np.ndarray, seed: int) -> dict[str, Interval]:
    """Returns metrics of some images with 95 % intervals, patients whole; NaN where the class, or others, are absent.

    The threshold is taken as given.

    Arguments:
      images: all of them.
      rows: numbers of some `[M]`.
      seed: of the resamples.
    """
    positive, ranks, flagged = images.positive[rows], images.ranks[rows], images.flagged[rows]
    weights = patient_weights(images.groups[rows], positive, NUM_RESAMPLES, seed)
    values = {
        AUC: areas(positive, ranks, weights),
        SENSITIVITY: fractions(flagged[positive], weights[:, positive]),
        SPECIFICITY: fractions(~flagged[~positive], weights[:, ~positive]),
    }
    return {name: percentile_interval(float(of[0]), of[1:]) for name, of in values.items()}
