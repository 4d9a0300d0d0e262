"""All labelled real images of a study, fold by fold."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from melgan.metrics.intervals import patient_groups
from melgan.studies.arms import TrainingImages
from pipelines.artefacts.shards import Shards, split_fold
from tfrecords_tools.foundation.metadata import PATIENT


@dataclass(frozen=True)
class RealImages:
    """The real images `[N]`, in the order in which their folds hold them out.

    Attributes:
      labels: numbers of their classes.
      positive: which are of the class, bool.
      folds: that hold them out.
      groups: patient of each.
      names: of the images.
    """

    labels: np.ndarray
    positive: np.ndarray
    folds: np.ndarray
    groups: np.ndarray
    names: np.ndarray

    def training_rows(self, fold: int) -> np.ndarray:
        """Returns the numbers of the images that the classifiers of a fold learn from."""
        return np.flatnonzero(self.folds != fold)

    def held_out_rows(self, fold: int) -> np.ndarray:
        """Returns the numbers of the images that a fold holds out."""
        return np.flatnonzero(self.folds == fold)

    def training_images(self, fold: int) -> TrainingImages:
        """Returns the images that the classifiers of a fold learn from."""
        rows = self.training_rows(fold)
        return TrainingImages(self.positive[rows], self.groups[rows])


def real_images(shards: Shards, num_folds: int, label: int) -> RealImages:
    """Returns all labelled real images; `label`: number of the class."""
    parts, groups = [], []
    for fold in range(num_folds):
        rows = shards.images(split_fold(shards.manifest, num_folds, fold)[1])
        rows = rows[rows["target"] >= 0]
        first = groups[-1].max() + 1 if groups else 0  # no patient is in two folds
        groups.append(first + patient_groups(rows[PATIENT].to_numpy()))
        parts.append(rows.assign(fold=fold))
    table = pd.concat(parts)
    labels = table["target"].to_numpy()
    return RealImages(
        labels=labels,
        positive=labels == label,
        folds=table["fold"].to_numpy(),
        groups=np.concatenate(groups),
        names=table.index.to_numpy(),
    )
