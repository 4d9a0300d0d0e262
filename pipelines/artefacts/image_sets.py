"""Images as arrays for evaluation: read from shards, or drawn by a sampler; in parts with keys that stand for them."""

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
class Part:
    """Images in a row, such as those of a shard: a key that is equal for equal ones, and how many there are."""

    key: str
    count: int


@dataclass(frozen=True)
class ImageSet:
    """Images uint8 `[N, H, W, 3]`, labels, group codes and names `[N]`, and the parts that they consist of."""

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    names: np.ndarray
    parts: tuple[Part, ...]

    def take(self, rows: np.ndarray) -> "ImageSet":
        """Returns the images of some rows, as one part."""
        key = json.dumps([[part.key for part in self.parts], _digest(rows)])
        part = Part(key, len(rows))
        return ImageSet(self.images[rows], self.labels[rows], self.groups[rows], self.names[rows], (part,))


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
        numbers = _digest(np.stack([requests.label, requests.index]).astype(np.int64))
        sha256, seed = self.key
        names = np.char.add(f"seed {seed}, index ", requests.index.astype(str))
        key = json.dumps([sha256, numbers, seed, self.quality])
        return ImageSet(images, requests.label, np.arange(len(requests)), names, (Part(key, len(requests)),))


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
    """Returns the images of some shards that have labels, of each class the first so many, or all; a part a shard.

    Raises:
      CommandError: if the stored images are smaller than asked for.
    """
    require_large_images(shards, image_size)
    counts, batches, kept = np.zeros(len(shards.classes), int), [], []
    for batch in evaluation_batches(shards.read(entries), image_size=image_size, batch_size=READ_BATCH):
        labels, is_kept = batch["label"].numpy(), np.zeros(len(batch["label"]), bool)
        for row, label in enumerate(labels):
            if label >= 0 and (most_per_class is None or counts[label] < most_per_class):
                counts[label] += 1
                is_kept[row] = True
        names = np.char.decode(batch["image_name"].numpy()[is_kept].astype(bytes))
        batches.append((batch["image"].numpy()[is_kept], labels[is_kept], batch["patient_id"].numpy()[is_kept], names))
        kept.append(is_kept)
    images, labels, patients, names = (np.concatenate(own) for own in zip(*batches, strict=True))
    ends = np.cumsum([entry.records for entry in entries])
    kept_of_shards = np.split(np.concatenate(kept), ends[:-1])
    parts = [_part(entry, own, image_size) for entry, own in zip(entries, kept_of_shards, strict=True)]
    return ImageSet(images, labels, patient_groups(patients), names, tuple(part for part in parts if part.count))


def _part(entry: ShardEntry, kept: np.ndarray, image_size: int) -> Part:
    """Returns the part of a shard; `kept`: which of its records are in it `[N]`, bool."""
    return Part(json.dumps([entry.crc32c, image_size, _digest(np.flatnonzero(kept))]), int(kept.sum()))


def _digest(numbers: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(numbers).tobytes()).hexdigest()
