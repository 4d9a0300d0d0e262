"""The probabilities of a classifier run, out of fold and of the test images, calibrated as was asked for."""

from collections.abc import Callable, Sequence
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
from tfrecords_tools.foundation.settings import Settings, setting
from tfrecords_tools.manifest import ShardEntry

NONE, FITTED = "none", "fitted"
REAL = "real"
TEMPERATURES, PRIORS = (NONE, FITTED), (AS_TRAINED, REAL)


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings(Settings):
    """How the probabilities of runs are calibrated."""

    temperature: str = setting(
        NONE, "fitted divides the logits of each run by what suits its out-of-fold predictions", choices=TEMPERATURES
    )
    prior: str = setting(
        AS_TRAINED,
        "mix of classes that probabilities of runs are for: that of the training, which synthetic images and "
        "--class_balance change, or of the real images",
        choices=PRIORS,
    )


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
        of_folds = []
        for fold in self.run.report.folds:
            table = self.predict_fold(fold, shards, shards.manifest.split("test"))
            of_folds.append(table.set_index("image_name")[probability_columns([label])[0]])
            on_fold()
        return sum(of_folds[1:], of_folds[0]) / len(of_folds)

    def predict_fold(self, fold: int, shards: Shards, entries: Sequence[ShardEntry]) -> pd.DataFrame:
        """Returns the predictions of the network of a fold, see `predictions_table`, calibrated.

        Arguments:
          fold: the fold.
          shards: the set that `entries` are some of.
          entries: the shards to predict.
        """
        predictor, classes = self.run.predictor(fold), ClassTable(self.run.report.classes)
        table = predictions_table(predictor, self.run.config, shards, entries, classes=classes, fold=fold)
        return self._calibrate(table, fold)

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
