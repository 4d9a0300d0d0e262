"""Tables of predictions: how they are made, read and evaluated."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from melgan.classifiers.prediction import Predictor
from melgan.metrics.cross_validation import cross_validation_metrics
from melgan.metrics.intervals import Interval, bootstrap_interval, patient_groups
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.artefacts.shards import READ_BATCH, Shards
from tfrecords_tools.csv_tables import read_table
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import evaluation_batches

KEY_COLUMNS = ["image_name", "patient_id", "fold", "label"]
_PROBABILITY = "probability "  # before the name of a class, which may be that of a key column


def predictions_table(
    predictor: Predictor, config: TrainClassifierConfig, shards: Shards, entries: Sequence[ShardEntry], fold: int
) -> pd.DataFrame:
    """Returns one row an image in stored order: `KEY_COLUMNS`, then a column `probability NAME` of each class.

    Arguments:
      predictor: of the classifier of a fold.
      config: that it was trained with, which says how images are read.
      shards: the set that `entries` are some of.
      entries: the shards to predict.
      fold: number of the fold.
    """
    keys: list[pd.DataFrame] = []

    def batches():
        for batch in evaluation_batches(
            shards.read(entries),
            image_size=config.image_size,
            batch_size=READ_BATCH,
            match_resolution=config.match_resolution,
        ):
            names = [name.decode() for name in batch["image_name"].numpy()]
            columns = {"image_name": names, "patient_id": batch["patient_id"].numpy(), "fold": fold}
            keys.append(pd.DataFrame(columns | {"label": batch["label"].numpy()}))
            yield batch

    probabilities = predictor.predict(batches())
    table = pd.concat(keys, ignore_index=True)
    return table.join(pd.DataFrame(probabilities.astype(np.float64), columns=probability_columns(shards.classes)))


def probability_columns(classes: Sequence[str]) -> list[str]:
    """Returns the columns that hold the probabilities of classes."""
    return [f"{_PROBABILITY}{name}" for name in classes]


def read_predictions(path: AnyPath, classes: Sequence[str]) -> pd.DataFrame:
    """Reads a table of predictions, also of earlier versions, whose columns have the names of the classes alone.

    Raises:
      DataError: if it is damaged.
    """
    try:
        table, columns = read_table(path, ["image_name"]), probability_columns(classes)
        if not set(columns) <= set(table):
            table = table.rename(columns=dict(zip(classes, columns, strict=True)))
        return table[[*KEY_COLUMNS, *columns]]
    except (ValueError, KeyError) as error:  # pandas' own errors are ValueErrors
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: damaged ({reason}); remove it and start train_classifier again") from error


def scores(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels `[N]` and probabilities `[N, classes]`."""
    return table["label"].to_numpy(), table.drop(columns=KEY_COLUMNS).to_numpy()


def evaluate_predictions(table: pd.DataFrame, classes: tuple[str, ...], seed: int) -> dict[str, Interval]:
    """Returns every metric of out-of-fold predictions with its 95 % interval, patients drawn whole."""
    labels, probabilities = scores(table)
    folds, groups = table["fold"].to_numpy(), patient_groups(table["patient_id"].to_numpy())
    return {
        name: bootstrap_interval(lambda rows, m=metric: m(labels[rows], probabilities[rows], folds[rows]), groups, seed)
        for name, metric in cross_validation_metrics(classes).items()
    }
