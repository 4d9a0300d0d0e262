"""Images as arrays for judging: read from shards, or drawn by a generator; each set with a key that stands for it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from melgan.metrics.intervals import patient_groups
from melgan.sampling import sample_images
from pipelines.artefacts.shards import Shards
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.images import encode_jpeg
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import evaluation_batches

MOST_PER_CLASS = 5000
QUALITY = 95  # of the JPEG in synthetic shards, unless asked for another
_READ_BATCH = 64


@dataclass(frozen=True)
class ImageSet:
    """Images uint8 `[N, H, W, 3]`, labels, group codes and names `[N]`, and a key that is equal for equal sets."""

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    names: np.ndarray
    key: str

    def take(self, rows: np.ndarray) -> "ImageSet":
        """Returns the images of some rows."""
        key = f"{self.key}/{hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()}"
        return ImageSet(self.images[rows], self.labels[rows], self.groups[rows], self.names[rows], key)


def read_images(
    shards: Shards, entries: Sequence[ShardEntry], image_size: int, most_per_class: int | None = None
) -> ImageSet:
    """Returns the images of some shards, of each class the first so many, or all.

    Raises:
      CommandError: if the stored images are smaller than asked for.
    """
    if shards.manifest.image_size < image_size:
        raise CommandError(
            f"{shards.folder}: its images are {shards.manifest.image_size} px, those to judge {image_size} px; as "
            f"enlarged images would be judged as blurred ones, make shards of {image_size} px or more"
        )
    num_classes = len(shards.manifest.classes)
    counts, batches = np.zeros(num_classes, int), []
    for batch in evaluation_batches(shards.read(tuple(entries)), image_size=image_size, batch_size=_READ_BATCH):
        labels, kept = batch["label"].numpy(), []
        for row, label in enumerate(labels):
            if label >= 0 and (most_per_class is None or counts[label] < most_per_class):
                counts[label] += 1
                kept.append(row)
        names = np.char.decode(batch["image_name"].numpy()[kept].astype(bytes))
        batches.append((batch["image"].numpy()[kept], labels[kept], batch["patient_id"].numpy()[kept], names))
    images, labels, patients, names = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    key = json.dumps([[entry.crc32c for entry in entries], image_size, most_per_class])
    return ImageSet(images, labels, patient_groups(patients), names, key)


def draw_images(
    generator: keras.Model, sha256: str, labels: np.ndarray, seed: int, indices: np.ndarray | None = None
) -> ImageSet:
    """Returns images drawn by a generator, after the JPEG that synthetic shards hold: they are judged as those are.

    Arguments:
      generator: maps [latents, labels] to images in [-1, 1].
      sha256: of its weights, for the key.
      labels: classes to draw `[N]`.
      seed: of the latents.
      indices: of the images `[N]`, 0 to N - 1 by default.
    """
    indices = np.arange(len(labels)) if indices is None else indices
    drawn = sample_images(generator, labels, seed, indices=indices)
    images = np.stack([tf.io.decode_jpeg(encode_jpeg(image, QUALITY), channels=3).numpy() for image in drawn])
    numbers = hashlib.sha256(np.stack([labels, indices]).astype(np.int64).tobytes()).hexdigest()
    names = np.char.add(f"seed {seed}, index ", indices.astype(str))
    return ImageSet(images, labels, np.arange(len(labels)), names, json.dumps([sha256, numbers, seed]))
