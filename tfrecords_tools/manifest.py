"""manifest.json: what a folder of shards holds, written last; a shard that it does not vouch for is not read."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from tfrecords_tools.foundation.documents import as_plain, from_plain, read_plain, stored
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, file_crc32c, file_size, is_file, write_atomically
from tfrecords_tools.provenance import LesionsOrigin, SyntheticProvenance

MANIFEST_FILE = "manifest.json"
SCHEMA_VERSION = 2
_OPTIONAL = ("duplicates", "boxes", "provenance")
_REMEDY = "make the shards again with `python -m pipelines.make_shards`"


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One shard.

    `class_counts` follows the manifest's classes (empty for the test split), and so does `boxed_counts`: how many of
    them have boxes (empty where none has), and `masked_counts`: how many have masks; `crc32c` is of the file.
    `made_from` are the indices of the real shards that synthetic images were made from, empty where they are drawn from
    noise.
    """

    file: str
    split: str
    index: int
    records: int
    class_counts: tuple[int, ...]
    bytes: int
    crc32c: str
    boxed_counts: tuple[int, ...] = ()
    masked_counts: tuple[int, ...] = stored(default=(), omit_default=True)
    made_from: tuple[int, ...] = stored(default=(), omit_default=True)


@dataclass(frozen=True, kw_only=True)
class DuplicateCounts:
    """Groups of duplicates, and images in them.

    `groups_of_several_classes` are groups whose training images differ in their class, `groups_of_both_splits` those
    with training and test images.
    """

    groups: int
    images: int
    dropped: int
    groups_of_several_classes: int
    groups_of_both_splits: int = 0


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A whole set of shards.

    `source_fingerprint` stands for the rows and images, `folds_fingerprint` for those and their shards: sets with
    equal ones hold the same images in the shards of equal index, whatever the image size. `codes` are the integers
    that stand for categories in the examples. `rejected` images were left out, `blank` ones are of one colour.
    `balance` has a row for every training shard, see `balance_table`; `duplicates` counts the duplicates found, None
    where none were looked for. `boxes` is the origin of the boxes of training images, None where they have none, and so
    is `masks` of their masks.
    `provenance` belongs to synthetic images, None for real ones.
    """

    source: str
    source_fingerprint: str
    folds_fingerprint: str
    classes: tuple[str, ...]
    image_size: int
    encoder: dict
    shards: tuple[ShardEntry, ...]
    codes: dict = field(default_factory=dict)
    rejected: int = 0
    blank: int = 0
    balance: tuple[dict, ...] = ()
    duplicates: DuplicateCounts | None = None
    boxes: LesionsOrigin | None = None
    masks: LesionsOrigin | None = stored(default=None, omit_default=True)
    provenance: SyntheticProvenance | None = None
    schema_version: int = SCHEMA_VERSION

    def split(self, name: str) -> tuple[ShardEntry, ...]:
        """Returns the shards of a split in order of their index."""
        return tuple(sorted((shard for shard in self.shards if shard.split == name), key=lambda shard: shard.index))

    def class_counts(self, split: str = "train") -> tuple[int, ...]:
        """Returns the images of each class in a split."""
        return count_classes(self.split(split), len(self.classes))

    def boxed_counts(self) -> tuple[int, ...]:
        """Returns the training images of each class that have boxes."""
        return add_counts([shard.boxed_counts for shard in self.split("train")], len(self.classes))

    def masked_counts(self) -> tuple[int, ...]:
        """Returns the training images of each class that have masks."""
        return add_counts([shard.masked_counts for shard in self.split("train")], len(self.classes))


def require_images(manifest: Manifest, place: str) -> None:
    """Does nothing if a set of real images has training images of every class.

    Raises:
      DataError: naming the classes that have none; `place` begins the message.
    """
    empty = [name for name, count in zip(manifest.classes, manifest.class_counts(), strict=True) if not count]
    if empty and manifest.provenance is None:
        raise DataError(
            f"{place}: no training image of {', '.join(empty)}: nothing can be learned or measured of such a class; "
            "add images of it, or leave it out"
        )


def count_classes(shards: Sequence[ShardEntry], num_classes: int) -> tuple[int, ...]:
    """Returns the images of each class in the shards."""
    return add_counts([shard.class_counts for shard in shards], num_classes)


def add_counts(counts: Sequence[Sequence[int]], num_classes: int = 0) -> tuple[int, ...]:
    """Returns the sums of counts by class; empty ones count none, and if all are the sums are as many zeros."""
    return tuple(map(sum, zip(*filter(None, counts), strict=True))) or (0,) * num_classes


def shard_file_name(split: str, index: int, records: int) -> str:
    """Returns the public notebooks' name of a shard, such as `train00-2071.tfrec`."""
    return f"{split}{index:02d}-{records}.tfrec"


def describe_shard(
    path: AnyPath,
    class_counts: tuple[int, ...],
    *,
    boxed_counts: tuple[int, ...] = (),
    masked_counts: tuple[int, ...] = (),
    made_from: tuple[int, ...] = (),
) -> ShardEntry:
    """Returns the entry of a finished shard file, named as `shard_file_name` does; for the others see `ShardEntry`."""
    match = re.fullmatch(r"([a-z]+)(\d+)-(\d+)\.tfrec", path.name)
    if match is None:
        raise DataError(f"{path}: not a shard name such as train00-2071.tfrec")
    return ShardEntry(
        file=path.name,
        split=match[1],
        index=int(match[2]),
        records=int(match[3]),
        class_counts=class_counts,
        bytes=file_size(path),
        crc32c=file_crc32c(path),
        boxed_counts=boxed_counts,
        masked_counts=masked_counts,
        made_from=made_from,
    )


def write_manifest(folder: AnyPath, manifest: Manifest) -> None:
    """Writes manifest.json atomically; what a set does not have is an empty object there."""
    values = as_plain(manifest)
    values |= {name: values[name] or {} for name in _OPTIONAL}
    write_atomically(folder / MANIFEST_FILE, json.dumps(values, indent=1) + "\n")


def read_manifest(folder: AnyPath) -> Manifest:
    """Reads manifest.json.

    Raises:
      DataError: if there is none, or it is damaged or of another schema version.
    """
    path = folder / MANIFEST_FILE
    if not is_file(path):
        raise DataError(f"{folder}: no {MANIFEST_FILE}, so this is no finished folder of shards; {_REMEDY}")
    values = read_plain(path, _REMEDY)
    version = values.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise DataError(f"{path}: schema_version {version}, not {SCHEMA_VERSION}; {_REMEDY}")
    unknown = values.keys() - {each.name for each in fields(Manifest)}
    if unknown:
        raise DataError(f"{path}: damaged (unknown key {', '.join(sorted(unknown))}); {_REMEDY}")
    try:
        manifest = from_plain(Manifest, values | {name: values.get(name) or None for name in _OPTIONAL})
        _require_consistent(manifest)
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error}); {_REMEDY}") from error
    return manifest


def _require_consistent(manifest: Manifest) -> None:
    """Raises ValueError if entries contradict their file names, each other or the classes.

    So no file name leads out of the folder, and no two shards have one place in the folds.
    """
    for shard in manifest.shards:
        if shard.file != shard_file_name(shard.split, shard.index, shard.records):
            raise ValueError(f"{shard.file} is no shard {shard.index} of {shard.split} with {shard.records} records")
        for name in ("class_counts", "boxed_counts", "masked_counts"):
            if len(getattr(shard, name)) not in (0, len(manifest.classes)):
                raise ValueError(f"{name} of {shard.file} does not count {len(manifest.classes)} classes")
        if shard.class_counts and sum(shard.class_counts) != shard.records:
            raise ValueError(f"class_counts of {shard.file} do not add up to {shard.records}")
    places = [(shard.split, shard.index) for shard in manifest.shards]
    if len(set(places)) < len(places):
        raise ValueError("two shards have the same split and index")
