"""What stages do with their inputs: shards that are checked, and the split of shards into training and validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import logging

from pipelines import stage
from tfrecords_tools.folds import fold_shards
from tfrecords_tools.manifest import Manifest, ShardEntry, count_classes, read_manifest
from tfrecords_tools.reading import ShardSet, evaluation_batches, shard_set
from tfrecords_tools.storage import AnyPath, download, is_remote
from tfrecords_tools.verifying import verify_shards


@dataclass(frozen=True)
class Shards:
    """A completed and verified folder of shards; `cache` takes the shards of a bucket, if there is one."""

    folder: AnyPath
    manifest: Manifest
    cache: Path | None = None

    def read(self, entries: tuple[ShardEntry, ...]) -> ShardSet:
        """Returns some of the shards as a set to read; with a cache, fetches those that it lacks."""
        if self.cache is not None and is_remote(self.folder):
            local = [download(self.folder / entry.file, self.cache, entry.crc32c) for entry in entries]
            return shard_set(local[0].parent, self.manifest, entries)
        return shard_set(self.folder, self.manifest, entries)

    def class_counts(self, entries: tuple[ShardEntry, ...]) -> tuple[int, ...]:
        """Returns the images of each class in some of the shards."""
        return count_classes(entries, len(self.manifest.classes))


def open_shards(path: str, field: str, cache_dir: str = "") -> Shards:
    """Returns a folder of shards after it was verified.

    Shards of a bucket are read through `cache_dir`, if it is given, and otherwise by TensorFlow's own gs://.

    Raises:
      StageError: if the folder is missing or not complete.
      DataError: if its manifest or a shard is damaged.
    """
    folder = stage.require_completed(path, field)
    manifest = read_manifest(folder)
    verify_shards(folder, manifest.shards)
    return Shards(folder, manifest, Path(cache_dir) if cache_dir else None)


def split_fold(manifest: Manifest, num_folds: int, fold: int) -> tuple[tuple[ShardEntry, ...], tuple[ShardEntry, ...]]:
    """Returns the shards to train on and those of the fold, which are held out."""
    shards = manifest.split("train")
    held_out = fold_shards(len(shards), num_folds, fold)
    return (
        tuple(shard for position, shard in enumerate(shards) if position not in held_out),
        tuple(shards[position] for position in held_out),
    )


def first_images(shards: ShardSet, num_classes: int, image_size: int, per_class: int = 1) -> list[np.ndarray]:
    """Returns the first images of each class, uint8 `[per_class, H, W, 3]`, or fewer where there are not so many."""
    found: list[list[np.ndarray]] = [[] for _ in range(num_classes)]
    for batch in evaluation_batches(shards, image_size=image_size, batch_size=64):
        for image, label in zip(batch["image"].numpy(), batch["label"].numpy(), strict=True):
            if len(found[label]) < per_class:
                found[label].append(image)
        if all(len(images) == per_class for images in found):
            break
    empty = np.zeros((0, image_size, image_size, 3), np.uint8)
    return [np.stack(images) if images else empty for images in found]


def open_synthetic(path: str, field: str, cache_dir: str = "") -> Shards:
    """Returns a folder of synthetic shards after it was verified.

    Raises:
      StageError: if the folder is missing, not complete, or holds real images.
      DataError: if its manifest or a shard is damaged.
    """
    opened = open_shards(path, field, cache_dir)
    if not opened.manifest.provenance:
        raise stage.StageError(f"--{field}={path}: these shards are not synthetic; give what synthesize wrote")
    return opened


def refuse_leaks(synthetic: Shards, shards: Shards, validation: tuple[ShardEntry, ...]) -> None:
    """Raises StageError if the generator may have seen a validation image, or knows other classes.

    The shards that it was trained on must be of the same folds. What earlier generators were trained on, whose
    weights it started from, is held to `refuse_seen`.
    """
    if synthetic.manifest.classes != shards.manifest.classes:
        raise stage.StageError(
            f"{synthetic.folder}: its classes are {', '.join(synthetic.manifest.classes)}, "
            f"those of {shards.folder} are {', '.join(shards.manifest.classes)}"
        )
    trained_on = synthetic.manifest.provenance["trained_on"]
    if trained_on["folds_fingerprint"] != shards.manifest.folds_fingerprint:
        raise stage.StageError(
            f"{synthetic.folder}: its generator was trained on shards of other folds than {shards.folder}, so it may "
            "have seen the validation images; train it on these shards, or on shards made with the same folds"
        )
    synthetic_names = ", ".join(shard.file for shard in synthetic.manifest.shards)
    leaks = f"{synthetic.folder} ({synthetic_names}) leaks: its generator"
    refuse_seen([trained_on], shards, validation, leaks)
    selected_on = synthetic.manifest.provenance.get("selected_on")
    if selected_on is not None and selected_on["indices"] != trained_on["indices"]:
        remedy = "give --checkpoint=last to synthesize, or train the generator with --eval_by=training"
        refuse_seen([selected_on], shards, validation, leaks, use="was chosen by its figures on", remedy=remedy)
    earlier = synthetic.manifest.provenance.get("ancestors", [])
    refuse_seen(earlier, shards, validation, f"{leaks} started from the weights of another, which")


def split_seen(shards: Shards, trained_on: dict, field: str) -> tuple[tuple[ShardEntry, ...], tuple[ShardEntry, ...]]:
    """Returns the shards that a generator was trained on, and those that it was not.

    Arguments:
      shards: the real ones.
      trained_on: of the generator's report.
      field: the setting that names the shards, for the message.

    Raises:
      StageError: if the generator was trained on other folds.
    """
    if trained_on["folds_fingerprint"] != shards.manifest.folds_fingerprint:
        raise stage.StageError(
            f"--{field}={shards.folder}: the generator was trained on shards of other folds, so which of these images "
            "it has seen is unknown; give the shards that it was trained on, or others made with the same folds"
        )
    every, indices = shards.manifest.split("train"), set(trained_on["indices"])
    seen = tuple(shard for shard in every if shard.index in indices)
    return seen, tuple(shard for shard in every if shard.index not in indices)


def refuse_seen(
    training_sets: Sequence[dict],
    shards: Shards,
    held_out: tuple[ShardEntry, ...],
    generator: str,
    *,
    use: str = "was trained on",
    remedy: str = "use a generator trained with the same --num_folds and --fold",
) -> None:
    """Raises StageError if one of the sets of shards that a generator was trained on has held-out images.

    Shards are compared by index, which stands for the same images wherever the fingerprint of the folds is equal.
    Where the same images are in other folds, any shard may hold them. A set of other images passes with a warning,
    because fingerprints do not tell whether two sets overlap.

    Arguments:
      training_sets: the `trained_on` of reports.
      shards: those that `held_out` are some of.
      held_out: shards that must not have been seen.
      generator: the subject of the message.
      use: what was done with the sets, for the message.
      remedy: what to do instead.
    """
    manifest = shards.manifest
    for trained_on in training_sets:
        if trained_on["folds_fingerprint"] == manifest.folds_fingerprint:
            seen = [shard.file for shard in held_out if shard.index in trained_on["indices"]]
            if seen:
                raise stage.StageError(f"{generator} {use} {', '.join(seen)}, which this fold holds out; {remedy}")
        elif held_out and trained_on.get("source_fingerprint") == manifest.source_fingerprint:
            raise stage.StageError(
                f"{generator} {use} the images of {shards.folder} in other folds, perhaps those that this fold holds "
                f"out; {remedy}"
            )
        elif held_out:
            logging.warning(
                "%s %s other images than those of %s; whether they show patients whom this fold holds out "
                "cannot be told from the shards",
                *(generator, use, shards.folder),
            )
