"""Folders of shards as inputs of commands: opened, verified, and split into folds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from absl import logging

from pipelines.contract.workdir import CONFIG_FILE, digest, require_completed
from tfrecords_tools.example import SOURCE_FEATURE, facts_of, image_name_of
from tfrecords_tools.folds import fold_shards
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, as_path, download, is_folder, is_remote, list_files
from tfrecords_tools.foundation.metadata import MISSING, PATIENT, PATIENT_IMAGES
from tfrecords_tools.manifest import Manifest, ShardEntry, count_classes, read_manifest, require_images
from tfrecords_tools.provenance import ShardsUsed
from tfrecords_tools.reading import evaluation_batches
from tfrecords_tools.records import read_records, require_room
from tfrecords_tools.streams import ShardSet, shard_set
from tfrecords_tools.verifying import require_one_generator, verify_shards

_FILE = "file"
READ_BATCH = 64  # images decoded at a time, where they are read once


@dataclass(frozen=True)
class Shards:
    """A completed and verified folder of shards; `cache` takes the shards of a bucket, if there is one."""

    folder: AnyPath
    manifest: Manifest
    cache: Path | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.manifest.classes

    @property
    def sources(self) -> dict[str, int]:
        """The code of each data set that the images are from, by its name."""
        return self.manifest.codes.get(SOURCE_FEATURE, {})

    def read(self, entries: Sequence[ShardEntry]) -> ShardSet:
        """Returns some of the shards as a set to read; with a cache, fetches those that it lacks."""
        if self.cache is not None and is_remote(self.folder):
            local = [download(self.folder / entry.file, self.cache, entry.crc32c) for entry in entries]
            for copy in local:
                require_room(copy)
            return shard_set(local[0].parent, self.manifest, entries)
        return shard_set(self.folder, self.manifest, entries)

    def only(self, entries: Sequence[ShardEntry]) -> "Shards":
        """Returns the folder as if it held some of its shards alone."""
        return replace(self, manifest=replace(self.manifest, shards=tuple(entries)))

    def images(self, entries: Sequence[ShardEntry]) -> pd.DataFrame:
        """Returns a row for each image of some of the shards, in stored order, indexed by its name.

        Its columns are `target`, `source`, those of `METADATA`, and `patient_images`: how many images of its patient
        are in its split. Each split is read once.
        """
        return pd.concat([self._images_of_split(entry.split)[entry.file] for entry in entries])

    def _images_of_split(self, split: str) -> dict[str, pd.DataFrame]:
        """Returns the rows of the images of a split, by the file of their shard."""
        if split not in self._images:
            entries = self.manifest.split(split)
            paths = {entry.file: as_path(path) for entry, path in zip(entries, self.read(entries).paths, strict=True)}
            rows = [facts_of(record) | {_FILE: file} for file, path in paths.items() for record in read_records(path)]
            table = pd.DataFrame(rows).set_index("image_name")
            counts = table.groupby(PATIENT)[PATIENT].transform("size")
            table[PATIENT_IMAGES] = counts.where(table[PATIENT] != MISSING, MISSING)
            self._images[split] = {file: own.drop(columns=_FILE) for file, own in table.groupby(_FILE)}
        return self._images[split]

    @cached_property
    def _images(self) -> dict[str, dict[str, pd.DataFrame]]:
        """What was read of the images, by split."""
        return {}

    def image_names(self, entries: Sequence[ShardEntry]) -> list[str]:
        """Returns the names of the images of some of the shards, in stored order."""
        return [name for path in self.read(entries).paths for name in map(image_name_of, read_records(as_path(path)))]

    def class_counts(self, entries: Sequence[ShardEntry]) -> tuple[int, ...]:
        """Returns the images of each class in some of the shards."""
        return count_classes(entries, len(self.classes))

    def used(self, entries: Sequence[ShardEntry]) -> ShardsUsed:
        """Returns the description by which it can be told later whether an image was in some of the shards."""
        return ShardsUsed(
            source_fingerprint=self.manifest.source_fingerprint,
            shards_digest=digest(self.folder),
            folds_fingerprint=self.manifest.folds_fingerprint,
            shards=tuple(shard.file for shard in entries),
            indices=tuple(shard.index for shard in entries),
        )


def open_shards(path: str, field: str, cache_dir: str = "") -> Shards:
    """Returns a folder of shards after it was verified.

    Shards of a bucket are read through `cache_dir`, if it is given, and otherwise by TensorFlow's own gs://.

    Raises:
      CommandError: if the folder is missing or not complete.
      DataError: if its manifest or a shard is damaged, or a class has no training image.
    """
    opened = open_any_shards(path, field, cache_dir)
    require_images(opened.manifest, f"--{field}={path}")
    return opened


def open_any_shards(path: str, field: str, cache_dir: str = "") -> Shards:
    """Returns a folder of shards after it was verified, real or synthetic, whether or not they have labels.

    Raises:
      CommandError: if the folder is missing or not complete.
      DataError: if its manifest or a shard is damaged, or a record names another generator than the manifest.
    """
    _require_own(as_path(path), field)
    folder = require_completed(path, field)
    manifest = read_manifest(folder)
    size = sum(shard.bytes for shard in manifest.shards) / 1e6
    logging.info("reading and verifying %s: %d shards, %.1f MB", folder, len(manifest.shards), size)
    verify_shards(folder, manifest.shards)
    if manifest.provenance is not None:
        require_one_generator(folder, manifest.shards, manifest.provenance.generator)
    return Shards(folder, manifest, Path(cache_dir) if cache_dir else None)


def _require_own(folder: AnyPath, field: str) -> None:
    """Raises CommandError, saying how to adopt them, for TFRecord files that no command of ours wrote."""
    names = [file.name for file in list_files(folder)] if is_folder(folder) else []
    count = sum(name.endswith(".tfrec") for name in names)
    if count and CONFIG_FILE not in names:
        raise CommandError(
            f"--{field}={folder}: holds {count} TFRecord files and no manifest.json, so nothing vouches for them; "
            f"adopt them with python -m pipelines.make_shards --source=tfrecords --input={folder} --output=..."
        )


def open_synthetic(path: str, field: str, cache_dir: str = "") -> Shards:
    """Returns a folder of synthetic shards after it was verified.

    Raises:
      CommandError: if the folder is missing, not complete, or holds real images.
      DataError: if its manifest or a shard is damaged, or a record names another generator than the manifest.
    """
    opened = open_any_shards(path, field, cache_dir)
    if opened.manifest.provenance is None:
        raise CommandError(f"--{field}={path}: these shards are not synthetic; give what synthesize wrote")
    return opened


def split_fold(manifest: Manifest, num_folds: int, fold: int) -> tuple[tuple[ShardEntry, ...], tuple[ShardEntry, ...]]:
    """Returns the shards to train on, and the held-out shards of the fold; with 0 folds none are held out."""
    shards = manifest.split("train")
    if not num_folds:
        return shards, ()
    held_out = fold_shards(len(shards), num_folds, fold)
    return (
        tuple(shard for position, shard in enumerate(shards) if position not in held_out),
        tuple(shards[position] for position in held_out),
    )


def class_named(name: str, field: str, classes: Sequence[str]) -> int:
    """Returns the number of a class that a setting names.

    Raises:
      CommandError: if there is none of that name.
    """
    if name not in classes:
        raise CommandError(f"--{field}={name!r} is no class of these shards; they have {', '.join(classes)}")
    return classes.index(name)


def first_images(shards: ShardSet, num_classes: int, image_size: int, per_class: int = 1) -> list[np.ndarray]:
    """Returns the first images of each class, uint8 `[per_class, H, W, 3]`, or fewer where there are not so many."""
    found: list[list[np.ndarray]] = [[] for _ in range(num_classes)]
    for batch in evaluation_batches(shards, image_size=image_size, batch_size=READ_BATCH):
        for image, label in zip(batch["image"].numpy(), batch["label"].numpy(), strict=True):
            if len(found[label]) < per_class:
                found[label].append(image)
        if all(len(images) == per_class for images in found):
            break
    empty = np.zeros((0, image_size, image_size, 3), np.uint8)
    return [np.stack(images) if images else empty for images in found]
