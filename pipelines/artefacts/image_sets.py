"""Images as arrays for evaluation: read from shards, or drawn by a sampler; each set with a key that stands for it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from melgan.metrics.intervals import patient_groups
from melgan.sampling import Requests, Sampler
from pipelines.artefacts.shards import READ_BATCH, Shards
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.images import encode_jpeg
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import evaluation_batches

MOST_PER_CLASS = 5000


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


@dataclass(frozen=True)
class SyntheticImages:
    """Synthetic images to draw: the sampler, a key that tells it apart, and the quality of the JPEGs."""

    sampler: Sampler
    key: tuple[str, int]
    quality: int

    def draw(self, requests: Requests) -> ImageSet:
        """Returns images as synthetic shards hold them, after JPEG, so that both are evaluated alike."""
        drawn = (image for batch in requests.in_batches() for image in self.sampler.draw(batch).images)
        images = np.stack([tf.io.decode_jpeg(encode_jpeg(image, self.quality), channels=3).numpy() for image in drawn])
        numbers = hashlib.sha256(np.stack([requests.label, requests.index]).astype(np.int64).tobytes()).hexdigest()
        sha256, seed = self.key
        names = np.char.add(f"seed {seed}, index ", requests.index.astype(str))
        key = json.dumps([sha256, numbers, seed, self.quality])
        return ImageSet(images, requests.label, np.arange(len(requests)), names, key)


def require_large_images(shards: Shards, image_size: int) -> None:
    """Raises CommandError if the stored images are smaller than a size in pixels."""
    if shards.manifest.image_size < image_size:
        raise CommandError(
            f"{shards.folder}: its images are {shards.manifest.image_size} px, those asked for {image_size} px; as "
            f"enlarged images would pass for blurred ones, make shards of {image_size} px or more"
        )


def read_images(
    shards: Shards, entries: Sequence[ShardEntry], image_size: int, most_per_class: int | None = None
) -> ImageSet:
    """Returns the images of some shards, of each class the first so many, or all.

    Raises:
      CommandError: if the stored images are smaller than asked for.
    """
    require_large_images(shards, image_size)
    counts, batches = np.zeros(len(shards.classes), int), []
    for batch in evaluation_batches(shards.read(entries), image_size=image_size, batch_size=READ_BATCH):
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
