"""The predictions of every network of some runs, each in a file of its own, so that a killed run resumes."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipelines.artefacts.predictions import probability_columns
from pipelines.contract.progress import Progress
from pipelines.prediction.new_images import StoredImages
from pipelines.submission.calibrated_run import CalibratedRun
from tfrecords_tools.csv_tables import read_table, write_table
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.texts import as_file_name

NETWORKS_FOLDER = "networks"


def predict_networks(
    folder: Path, runs: Sequence[CalibratedRun], sets: Sequence[StoredImages]
) -> list[list[pd.DataFrame]]:
    """Returns, of every run, the predictions of the network of each fold, calibrated, in stored order.

    Tables have the columns `image_name` and `probability NAME` of each class. They are in `NETWORKS_FOLDER` of the
    folder, as `network_files` calls them.

    Arguments:
      folder: of the command.
      runs: with the same classes.
      sets: what each run predicts.
    """
    (folder / NETWORKS_FOLDER).mkdir(exist_ok=True)
    progress = Progress("prediction", sum(len(run.run.report.folds) for run in runs), "networks")
    found, done = [], 0
    for run, images, files in zip(runs, sets, network_files(runs), strict=True):
        columns = ["image_name", *probability_columns(run.run.report.classes)]
        found.append([])
        for fold, file in zip(run.run.report.folds, files, strict=True):
            if not (folder / file).is_file():
                write_table(folder / file, run.predict_fold(fold, images.shards, images.entries)[columns])
            found[-1].append(_read(folder / file, columns))  # also what was just written: resumed or not, equal bytes
            done += 1
            progress.update(done)
    return found


def network_files(runs: Sequence[CalibratedRun]) -> list[list[str]]:
    """Returns the file of the network of each fold, of every run."""
    return [
        [f"{NETWORKS_FOLDER}/{number}_{as_file_name(run.run.name)}_fold{fold}.csv" for fold in run.run.report.folds]
        for number, run in enumerate(runs, start=1)
    ]


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        return read_table(path, ["image_name"])[list(columns)]
    except (ValueError, KeyError) as error:  # pandas' own errors are ValueErrors
        raise DataError(f"{path}: damaged ({error}); remove it and start the same command again") from error
