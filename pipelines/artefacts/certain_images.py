"""The images of which a classifier is most certain out of fold, rightly or wrongly, and what it looks at in them."""

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from melgan.classifiers.grad_cam import class_activation_maps
from melgan.classifiers.metadata import INPUTS, encode_metadata
from melgan.classifiers.network import takes_metadata
from pipelines.artefacts.classifier_run import ClassifierRun
from pipelines.artefacts.predictions import scores
from pipelines.artefacts.shards import READ_BATCH, Shards, split_fold
from pipelines.artefacts.training_shards import training_shards
from tfrecords_tools.example import image_name_of
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import evaluation_batches
from tfrecords_tools.records import frame, read_records
from tfrecords_tools.streams import ShardSet


@dataclass(frozen=True)
class CertainImage:
    """An image of a fold, the numbers of its class and of the most probable one, and the probability of the latter."""

    name: str
    fold: int
    label: int
    predicted: int
    probability: float


@dataclass(frozen=True)
class ExplainedImage:
    """A certain image: uint8 `[S, S, 3]` as its network sees it, and where that finds the class that it predicts.

    The latter is float `[S, S]` in [0, 1], see `class_activation_maps`.
    """

    certain: CertainImage
    image: np.ndarray
    activation: np.ndarray


def most_certain(predictions: pd.DataFrame, most: int, *, right: bool) -> list[CertainImage]:
    """Returns images by the probability of their most probable class, the highest first.

    Arguments:
      predictions: out of fold.
      most: how many at most.
      right: whether that class is to be theirs, or another.
    """
    labels, probabilities = scores(predictions)
    predicted, highest = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows = np.flatnonzero((predicted == labels) == right)
    rows = rows[np.argsort(-highest[rows], kind="stable")][:most]
    names, folds = predictions["image_name"].tolist(), predictions["fold"].tolist()
    return [
        CertainImage(names[row], int(folds[row]), int(labels[row]), int(predicted[row]), float(highest[row]))
        for row in rows
    ]


def explain(run: ClassifierRun, images: Sequence[CertainImage]) -> list[ExplainedImage]:
    """Returns images with what the network of their fold, which was not trained on them, looks at.

    Only the networks of these folds are loaded.

    Raises:
      DataError: if the shards of the run are gone, others or damaged, or lack an image; the message has no remedy.
    """
    shards, found = training_shards(run), {}
    for fold in sorted({image.fold for image in images}):
        own = [image for image in images if image.fold == fold]
        validation = split_fold(shards.manifest, run.config.num_folds, fold)[1]
        pixels = _read(run, shards, validation, {image.name for image in own})
        network = run.load(fold)
        stacked = np.stack([pixels[image.name] for image in own])
        inputs = [stacked.astype(np.float32)]
        if takes_metadata(network):
            inputs.append(_metadata(shards, validation, own))
        maps = class_activation_maps(network, inputs, np.array([each.predicted for each in own]))
        found |= {each: ExplainedImage(each, *shown) for each, *shown in zip(own, stacked, maps, strict=True)}
    return [found[image] for image in images]


def _metadata(shards: Shards, entries: Sequence[ShardEntry], images: Sequence[CertainImage]) -> tf.Tensor:
    rows = shards.images(entries).loc[[image.name for image in images]]
    return encode_metadata({name: rows[name].to_numpy(np.int32) for name in INPUTS})


def _read(
    run: ClassifierRun, shards: Shards, entries: Sequence[ShardEntry], names: Collection[str]
) -> dict[str, np.ndarray]:
    """Returns images by their name, read as for the network, by looking at no more records than it takes."""
    records = _records(shards, entries, names)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "images.tfrec")
        path.write_bytes(b"".join(map(frame, records.values())))
        whole = shards.read(entries)
        some = ShardSet((str(path),), len(records), whole.stored_size, whole.quality)
        size, match = run.config.image_size, run.config.match_resolution
        batches = evaluation_batches(some, image_size=size, batch_size=READ_BATCH, match_resolution=match)
        images = np.concatenate([batch["image"].numpy() for batch in batches])
    return dict(zip(records, images, strict=True))


def _records(shards: Shards, entries: Sequence[ShardEntry], names: Collection[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for entry in entries:
        for record in read_records(shards.folder / entry.file):
            if (name := image_name_of(record)) in names:
                found[name] = record
        if len(found) == len(names):
            return found
    missing = min(set(names) - set(found))
    raise DataError(f"{shards.folder} has no image {missing} in the fold that predicted it")
