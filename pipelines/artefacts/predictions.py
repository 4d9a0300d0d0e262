"""Tables of predictions: how they are made, read and evaluated."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import tensorflow as tf

from melgan.classifiers.metadata import METADATA
from melgan.classifiers.prediction import Predictor
from melgan.metrics.classification import METRICS
from melgan.metrics.cross_validation import cross_validation_metrics
from melgan.metrics.intervals import Interval, bootstrap_intervals, draw_parts, jackknife_interval, patient_groups
from pipelines.artefacts.class_table import ClassTable
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.artefacts.shards import READ_BATCH, Shards
from tfrecords_tools.csv_tables import read_table
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.foundation.metadata import PATIENT_IMAGES
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import evaluation_batches

KEY_COLUMNS = ["image_name", "patient_id", "fold", "label"]
_PROBABILITY = "probability "  # before the name of a class, which may be that of a key column


def predictions_table(
    predictor: Predictor,
    config: TrainClassifierConfig,
    shards: Shards,
    entries: Sequence[ShardEntry],
    *,
    classes: ClassTable,
    fold: int,
    without: Collection[str] = (),
) -> pd.DataFrame:
    """Returns one row an image in stored order: `KEY_COLUMNS`, then a column `probability NAME` of each class.

    Arguments:
      predictor: of the classifier of a fold.
      config: that it was trained with, which says how images are read.
      shards: the set that `entries` are some of.
      entries: the shards to predict.
      classes: of the classifier.
      fold: number of the fold.
      without: data sets whose images are left out.
    """
    read, counts = shards.read(entries), _patient_images(config, shards, entries)
    keys: list[pd.DataFrame] = []

    def batches(size: int) -> Iterator[dict[str, tf.Tensor]]:
        keys.clear()
        for batch in evaluation_batches(
            read,
            image_size=size,
            batch_size=READ_BATCH,
            match_resolution=config.match_resolution,
            without_sources=[shards.sources[name] for name in without],
        ):
            names = [name.decode() for name in batch["image_name"].numpy()]
            columns = {"image_name": names, "patient_id": batch["patient_id"].numpy(), "fold": fold}
            keys.append(pd.DataFrame(columns | {"label": classes.labels(names, batch["label"].numpy())}))
            yield batch if counts is None else batch | {PATIENT_IMAGES: counts.loc[names].to_numpy(np.int32)}

    probabilities = np.mean([predictor.predict(batches(size), size) for size in predictor.sizes], axis=0)
    table = pd.concat(keys, ignore_index=True)
    return table.join(pd.DataFrame(probabilities.astype(np.float64), columns=probability_columns(classes.names)))


def _patient_images(config: TrainClassifierConfig, shards: Shards, entries: Sequence[ShardEntry]) -> pd.Series | None:
    """Returns how many images of its patient are in its split, by name, where the classifier looks at it."""
    looks = METADATA[config.metadata].fuse is not None
    return shards.images(entries)[PATIENT_IMAGES] if looks else None


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


def kaggle_table(table: pd.DataFrame, classes: Sequence[str], target: str) -> pd.DataFrame:
    """Returns out-of-fold predictions of one class as public notebooks have them: `image_name,target,pred,fold`."""
    columns = {
        "image_name": table["image_name"],
        "target": (table["label"] == list(classes).index(target)).astype(int),
        "pred": table[probability_columns([target])[0]],
        "fold": table["fold"],
    }
    return pd.DataFrame(columns)


def evaluate_predictions(table: pd.DataFrame, classes: tuple[str, ...], seed: int) -> dict[str, Interval]:
    """Returns every metric of out-of-fold predictions with its 95 % interval, patients whole.

    It is of the bootstrap, or of the jackknife where repeated images would bias the metric.
    """
    table = table.sort_values(["fold", probability_columns(classes)[-1]])  # sorted scores need no sorting again
    labels, probabilities = scores(table)
    folds, groups = table["fold"].to_numpy(), patient_groups(table["patient_id"].to_numpy())

    def metrics(rows: np.ndarray) -> dict[str, float]:
        return cross_validation_metrics(labels[rows], probabilities[rows], folds[rows], classes)

    intervals, parts = bootstrap_intervals(metrics, groups, seed), draw_parts(groups, len(np.unique(groups)), seed)
    # Of one patient nothing is left.
    left_out = [metrics(np.flatnonzero(parts != part)) for part in range(parts.max() + 1)] if parts.any() else []
    for name in intervals:
        if name in METRICS and not METRICS[name].allows_repetition:
            found = jackknife_interval(intervals[name].value, [each[name] for each in left_out])
            intervals[name] = replace(found, low=float(np.maximum(found.low, 0)))
    return intervals
