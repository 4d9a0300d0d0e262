"""New images: what a path holds, and image files as shards, by the functions of make_shards."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from pipelines.artefacts.shards import Shards, open_any_shards
from pipelines.conversion.writing import Rejection, rejections_of, write_all
from tfrecords_tools.engines import ENGINES, EngineOptions
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.foundation.files import AnyPath, as_path, is_file, is_folder, is_remote
from tfrecords_tools.images import Encoding
from tfrecords_tools.manifest import MANIFEST_FILE, Manifest, ShardEntry
from tfrecords_tools.planning import plan_unlabelled, write_plan
from tfrecords_tools.shards import ShardJob, write_shard
from tfrecords_tools.sources.unlabelled import is_image, list_folder, one_image, read_named_images

_IMAGES_A_SHARD = 128  # so few that all processes have work, and that a killed run loses little


@dataclass(frozen=True)
class ImageFiles:
    """Image files: a table as that of a source, and the folder from which its paths lead."""

    root: AnyPath
    table: pd.DataFrame


@dataclass(frozen=True)
class StoredImages:
    """Some shards of a set."""

    shards: Shards
    entries: tuple[ShardEntry, ...]


@dataclass(frozen=True)
class Converted:
    """Image files as shards, and those that could not be read."""

    stored: StoredImages
    rejected: tuple[Rejection, ...]


def open_input(path: str, *, images: str, split: str, cache_dir: str) -> ImageFiles | StoredImages:
    """Returns what is to be predicted.

    Arguments:
      path: of a folder or zip file of images, one image, a CSV table that names images, or a folder of shards.
      images: folder of the images of a table; "" for that of the table.
      split: of shards; "" for the test split of those that have it, and else all.
      cache_dir: for the shards of a bucket; "" for none.

    Raises:
      CommandError: if a setting is of another kind of input, or shards have no such split.
      DataError: if the input is not there, damaged, or has no image.
    """
    place = as_path(path)
    is_shards, is_single = is_file(place / MANIFEST_FILE), is_file(place) and not is_folder(place)
    is_table = is_single and not is_image(place)
    if place.suffix == ".tfrec":
        raise CommandError(f"--input={path}: one shard; give the folder of shards that make_shards wrote")
    if split and not is_shards:
        raise CommandError(f"--split={split} is of shards, and {path} holds none; leave it out")
    if images and not is_table:
        raise CommandError(f"--images={images} is of a CSV file, and {path} is none; leave it out")
    if is_shards:
        return _some_of(open_any_shards(path, "input", cache_dir), split)
    if is_table:
        root = _absolute(as_path(images) if images else place.parent)
        return ImageFiles(root, read_named_images(place, root))
    if is_single:
        return ImageFiles(_absolute(place).parent, one_image(place))
    return ImageFiles(_absolute(place), list_folder(_absolute(place)))


def convert(files: ImageFiles, encoding: Encoding, folder: Path, *, workers: int, max_rejected: str) -> Converted:
    """Returns image files as shards, stored as make_shards would; resumes what an earlier run began.

    Arguments:
      files: what is converted, in their order.
      encoding: of the images.
      folder: of the shards, which nobody else has.
      workers: processes of this machine, 0 for one a core.
      max_rejected: how many images may be left out because they cannot be read.

    Raises:
      DataError: if more cannot be read, or none can.
    """
    count = len(files.table)
    plan = plan_unlabelled(files.table, num_shards=-(-count // _IMAGES_A_SHARD))
    fingerprints = write_plan(folder, plan, [files.root])
    jobs = [
        ShardJob(
            folder=str(folder.absolute()),
            split=shard.split,
            index=shard.index,
            num_classes=0,
            roots=(str(files.root),),
            encoding=encoding,
        )
        for shard in plan.shards
    ]
    engine = partial(ENGINES["local"], work=write_shard, options=EngineOptions(workers=workers))
    results = write_all(folder, jobs, count, engine=engine, max_rejected=max_rejected)
    rejected = tuple(rejections_of(results))
    if len(rejected) == count:
        _, file, reason = rejected[0]
        raise DataError(f"{files.root}: no image can be read, the first is {file} ({reason}); repair them")
    manifest = Manifest(
        source=str(files.root),
        source_fingerprint=fingerprints.rows,
        folds_fingerprint=fingerprints.folds,
        classes=(),
        image_size=encoding.image_size,
        encoder={"fit": encoding.fit, "quality": encoding.quality},
        shards=tuple(result.entry for result in results if result.entry.records),
    )
    return Converted(StoredImages(Shards(folder, manifest), manifest.shards), rejected)


def _some_of(shards: Shards, split: str) -> StoredImages:
    manifest = shards.manifest
    entries = manifest.split(split) if split else manifest.split("test") or manifest.shards
    if not sum(entry.records for entry in entries):
        known = ", ".join(sorted({entry.split for entry in manifest.shards}))
        raise CommandError(f"{shards.folder}: no image of the split {split or known}; it has {known or 'no shard'}")
    return StoredImages(shards, tuple(entries))


def _absolute(path: AnyPath) -> AnyPath:
    return path if is_remote(path) else path.absolute()
