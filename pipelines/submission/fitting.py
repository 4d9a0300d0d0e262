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


def fit_runs(runs: Sequence[CalibratedRun], labels: Sequence[str], seed: int = 0) -> Fitted:
    """Returns weights fitted to the out-of-fold predictions of a class, of the images that all runs have predicted.

    Folds are those of the first run.

    Arguments:
      runs: two or more.
      labels: name of the class in each run, of the same images.
      seed: of the parts of patients, and of the resamples of the interval.

    Raises:
      CommandError: if the runs have no images of the class, or none of the others, in common.
    """
    tables = [_of_class(run, label) for run, label in zip(runs, labels, strict=True)]
    images = reduce(lambda known, own: known.intersection(own, sort=False), (table.index for table in tables))
    tables = [table.loc[images] for table in tables]
    first, names = tables[0], ", ".join(str(run.run.folder) for run in runs)
    positive = first["is_positive"].to_numpy()
    if not 0 < positive.sum() < len(positive):
        raise CommandError(
            f"--ensemble=fitted: {names} have predicted out of fold {positive.sum()} images of {labels[0]} and "
            f"{(~positive).sum()} others in common; give runs of the same shards and folds"
        )
    probabilities = np.stack([table["probability"].to_numpy() for table in tables])
    gain = out_of_fold_gain(
        probabilities,
        positive,
        folds=first["fold"].to_numpy(),
        groups=patient_groups(first["patient_id"].to_numpy()),
        seed=seed,
    )
    return Fitted(fit_weights(probabilities, positive), gain, len(positive))


def _of_class(run: CalibratedRun, label: str) -> pd.DataFrame:
    """Returns the out-of-fold predictions of a class by image name: its probability, and whether it is the class."""
    table, number = run.out_of_fold().set_index("image_name"), run.run.report.classes.index(label)
    found = {"probability": table[probability_columns([label])[0]], "is_positive": table["label"] == number}
    return table[["fold", "patient_id"]].assign(**found)
