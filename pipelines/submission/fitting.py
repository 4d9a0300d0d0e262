"""Weights of an ensemble of runs, fitted to the predictions that they make for the same images out of fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd

from melgan.classifiers.ensembles import Weights, fit_weights, out_of_fold_gain
from melgan.metrics.intervals import Interval, patient_groups
from pipelines.artefacts.predictions import probability_columns
from pipelines.submission.calibrated_run import CalibratedRun
from tfrecords_tools.foundation.errors import CommandError


@dataclass(frozen=True)
class Fitted:
    """The weights of runs, what AUC they gain out of fold over the plain mean, and on how many images."""

    weights: Weights
    gain: Interval
    images: int


def fit_runs(runs: Sequence[CalibratedRun], label: str, label_number: int, seed: int = 0) -> Fitted:
    """Returns weights fitted to the out-of-fold predictions of a class, of the images that all runs have predicted.

    Folds are those of the first run.

    Arguments:
      runs: two or more.
      label: name of the class.
      label_number: its number.
      seed: of the parts of patients, and of the resamples of the interval.

    Raises:
      CommandError: if the runs have no images of the class, or none of the others, in common.
    """
    tables = [run.out_of_fold().set_index(["image_name", "label"]) for run in runs]
    images = reduce(lambda known, own: known.intersection(own, sort=False), (table.index for table in tables))
    tables = [table.loc[images].reset_index() for table in tables]
    first = tables[0]
    positive = first["label"].to_numpy() == label_number
    if not 0 < positive.sum() < len(positive):
        raise CommandError(
            f"--ensemble=fitted: {', '.join(str(run.run.folder) for run in runs)} have predicted out of fold "
            f"{positive.sum()} images of {label} and {(~positive).sum()} others in common; give runs of the same "
            "shards and folds"
        )
    probabilities = _of_class(tables, label)
    gain = out_of_fold_gain(
        probabilities,
        positive,
        folds=first["fold"].to_numpy(),
        groups=patient_groups(first["patient_id"].to_numpy()),
        seed=seed,
    )
    return Fitted(fit_weights(probabilities, positive), gain, len(positive))


def _of_class(tables: Sequence[pd.DataFrame], label: str) -> np.ndarray:
    column = probability_columns([label])[0]
    return np.stack([table[column].to_numpy() for table in tables])
