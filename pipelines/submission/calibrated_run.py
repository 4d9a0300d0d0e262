"""The probabilities of a classifier run, out of fold and of the test images, calibrated as was asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from melgan.classifiers.calibration import fit_temperature, scale_temperature, shift_prior
from pipelines.artefacts.class_table import ClassTable
from pipelines.artefacts.classifier_run import ClassifierRun, Priors
from pipelines.artefacts.comparisons import out_of_fold
from pipelines.artefacts.predictions import KEY_COLUMNS, predictions_table, probability_columns, scores
from pipelines.artefacts.shards import Shards
from pipelines.artefacts.submission import AS_TRAINED
from pipelines.contract.workdir import COMPLETED_FILE
from tfrecords_tools.foundation.errors import DataError

NONE, FITTED = "none", "fitted"
REAL = "real"
TEMPERATURES, PRIORS = (NONE, FITTED), (AS_TRAINED, REAL)


@dataclass(frozen=True)
class CalibratedRun:
    """A run and how its probabilities are calibrated: first for the mix of classes, then by the temperature.

    Attributes:
      run: the run.
      priors: of each fold by its number, as text; empty to leave its probabilities for the mix of its training.
      temperature: one for all folds, which have the same recipe; 1 changes nothing.
    """

    run: ClassifierRun
    priors: dict[str, Priors] = field(default_factory=dict)
    temperature: float = 1.0

    def out_of_fold(self) -> pd.DataFrame:
        """Returns its out-of-fold predictions, calibrated."""
        table = out_of_fold(self.run)
        own = [self._calibrate(of_fold, fold) for fold, of_fold in table.groupby("fold", sort=False)]
        return pd.concat(own)

    def predict(self, shards: Shards, label: str, on_fold: Callable[[], None]) -> pd.Series:
        """Returns the probability of a class, mean over the folds, of the test images by name.

        Arguments:
          shards: have the test images.
          label: the class, of the run.
          on_fold: called after every fold.
        """
        of_folds, classes = [], ClassTable(self.run.report.classes)
        for fold in self.run.report.folds:
            predictor = self.run.predictor(fold)
            table = predictions_table(
                predictor, self.run.config, shards, shards.manifest.split("test"), classes=classes, fold=fold
            )
            of_folds.append(self._calibrate(table, fold).set_index("image_name")[probability_columns([label])[0]])
            on_fold()
        return sum(of_folds[1:], of_folds[0]) / len(of_folds)

    def _calibrate(self, table: pd.DataFrame, fold: int) -> pd.DataFrame:
        _, probabilities = scores(table)
        if self.priors:
            priors = self.priors[str(fold)]
            probabilities = shift_prior(probabilities, np.array(priors.trained), np.array(priors.real))
        probabilities = scale_temperature(probabilities, self.temperature)
        columns = table.columns.drop(KEY_COLUMNS)
        return table[KEY_COLUMNS].join(pd.DataFrame(probabilities, table.index, columns))


def calibrate_run(run: ClassifierRun, temperature: str, prior: str) -> CalibratedRun:
    """Returns a run, calibrated on its out-of-fold predictions.

    Arguments:
      run: the run.
      temperature: one of `TEMPERATURES`.
      prior: one of `PRIORS`.

    Raises:
      DataError: if the run is of an earlier version, which did not write down the mix of its training.
    """
    if prior == REAL and not run.report.priors:
        raise DataError(
            f"{run.folder}: an earlier version did not write down the mix of classes of its training, which "
            f"--prior={REAL} needs; remove {COMPLETED_FILE} there and start the same train_classifier again (of a "
            "version without that setting: with --match=real): it evaluates anew, and trains nothing"
        )
    calibrated = CalibratedRun(run, run.report.priors if prior == REAL else {})
    if temperature == NONE:
        return calibrated
    labels, probabilities = scores(calibrated.out_of_fold())
    return replace(calibrated, temperature=fit_temperature(probabilities, labels))
