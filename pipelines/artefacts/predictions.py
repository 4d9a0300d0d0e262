"""Tables of predictions: how they are made, read and judged."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from melgan.classifiers.prediction import Predictor
from melgan.metrics.classification import classification_metrics
from melgan.metrics.intervals import bootstrap_interval, patient_groups
from pipelines.artefacts.shards import Shards
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import evaluation_batches

_EVALUATION_BATCH = 64
KEY_COLUMNS = ["image_name", "patient_id", "fold", "label"]


def predictions_table(
    predictor: Predictor, image_size: int, shards: Shards, entries: Sequence[ShardEntry], fold: int
) -> pd.DataFrame:
    """Returns one row an image in stored order: `KEY_COLUMNS`, then the probability of each class, by its name."""
    keys: list[pd.DataFrame] = []

    def batches():
        data = shards.read(tuple(entries))
        for batch in evaluation_batches(data, image_size=image_size, batch_size=_EVALUATION_BATCH):
            names = [name.decode() for name in batch["image_name"].numpy()]
            columns = {"image_name": names, "patient_id": batch["patient_id"].numpy(), "fold": fold}
            keys.append(pd.DataFrame(columns | {"label": batch["label"].numpy()}))
            yield batch

    probabilities = predictor.predict(batches())
    table = pd.concat(keys, ignore_index=True)
    return table.join(pd.DataFrame(probabilities.astype(np.float64), columns=list(shards.manifest.classes)))


def read_predictions(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    """Reads a table of predictions."""
    return pd.read_csv(path, dtype={"image_name": str})[[*KEY_COLUMNS, *classes]]


def scores(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels `[N]` and probabilities `[N, classes]`."""
    return table["label"].to_numpy(), table.drop(columns=KEY_COLUMNS).to_numpy()


def judge(table: pd.DataFrame, classes: tuple[str, ...], seed: int) -> dict[str, dict[str, float]]:
    """Returns every metric of out-of-fold predictions with its 95 % interval, patients drawn whole."""
    labels, probabilities = scores(table)
    groups = patient_groups(table["patient_id"].to_numpy())
    figures = {}
    for name, metric in classification_metrics(classes).items():
        interval = bootstrap_interval(lambda rows, m=metric: m(labels[rows], probabilities[rows]), groups, seed)
        figures[name] = asdict(interval)
    return figures


def auc_difference(first: pd.DataFrame, second: pd.DataFrame, classes: tuple[str, ...], seed: int) -> dict[str, float]:
    """Returns the AUC of `second` minus that of `first` on the images of both, with its paired 95 % interval."""
    joined = first.merge(second, on=["image_name", "label"], suffixes=("", "_second"))
    labels = joined["label"].to_numpy()
    before = joined[list(classes)].to_numpy()
    after = joined[[f"{name}_second" for name in classes]].to_numpy()
    metric = classification_metrics(classes)["auc"]
    groups = patient_groups(joined["patient_id"].to_numpy())
    interval = bootstrap_interval(
        lambda rows: metric(labels[rows], after[rows]) - metric(labels[rows], before[rows]), groups, seed
    )
    return {**asdict(interval), "images": len(joined)}
