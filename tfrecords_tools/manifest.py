"""manifest.json: what a folder of shards holds, written last; a shard that it does not vouch for is not read."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, file_crc32c, file_size, is_file, read_text, write_atomically

MANIFEST_FILE = "manifest.json"
SCHEMA_VERSION = 2
_REMEDY = "make the shards again with `python -m pipelines.make_shards`"


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One shard.

    `class_counts` follows the manifest's classes (empty for the test split), and so does `boxed_counts`: how many of
    them have boxes (empty where none has); `crc32c` is of the file.
    """

    file: str
    split: str
    index: int
    records: int
    class_counts: tuple[int, ...]
    bytes: int
    crc32c: str
    boxed_counts: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A whole set of shards.

    `source_fingerprint` stands for the rows and images, `folds_fingerprint` for those and their shards: sets with
    equal ones hold the same images in the shards of equal index, whatever the image size. `codes` are the integers
    that stand for categories in the examples. `balance` has a row for every training shard, see `balance_table`;
    `duplicates` counts what was found. `boxes` tells where the boxes of training images come from, and is empty where
    they have none. `provenance` is empty for real images; see `synthesize` for synthetic ones.
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
    balance: tuple[dict, ...] = ()
    duplicates: dict = field(default_factory=dict)
    boxes: dict = field(default_factory=dict)
    provenance: dict = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def split(self, name: str) -> tuple[ShardEntry, ...]:
        """Returns the shards of a split in order of their index."""
        return tuple(sorted((shard for shard in self.shards if shard.split == name), key=lambda shard: shard.index))

    def class_counts(self, split: str = "train") -> tuple[int, ...]:
        """Returns the images of each class in a split."""
        return count_classes(self.split(split), len(self.classes))

    def boxed_counts(self) -> tuple[int, ...]:
        """Returns the training images of each class that have boxes."""
        counts = [shard.boxed_counts for shard in self.split("train") if shard.boxed_counts]
        return tuple(map(sum, zip(*counts, strict=True))) or (0,) * len(self.classes)


def count_classes(shards: Sequence[ShardEntry], num_classes: int) -> tuple[int, ...]:
    """Returns the images of each class in the shards."""
    return tuple(sum(shard.class_counts[label] for shard in shards) for label in range(num_classes))


def shard_file_name(split: str, index: int, records: int) -> str:
    """Returns the public notebooks' name of a shard, such as `train00-2071.tfrec`."""
    return f"{split}{index:02d}-{records}.tfrec"


def shard_entry(values: Mapping[str, Any]) -> ShardEntry:
    """Returns the entry that JSON values of `dataclasses.asdict` stand for."""
    return ShardEntry(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def describe_shard(path: AnyPath, class_counts: tuple[int, ...], boxed_counts: tuple[int, ...] = ()) -> ShardEntry:
    """Returns the entry of a finished shard file, named as `shard_file_name` does."""
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
    )


def write_manifest(folder: AnyPath, manifest: Manifest) -> None:
    """Writes manifest.json atomically."""
    write_atomically(folder / MANIFEST_FILE, json.dumps(asdict(manifest), indent=1) + "\n")


def read_manifest(folder: AnyPath) -> Manifest:
    """Reads manifest.json.

    Raises:
      DataError: if there is none, or it is damaged or of another schema version.
    """
    path = folder / MANIFEST_FILE
    if not is_file(path):
        raise DataError(f"{folder}: no {MANIFEST_FILE}, so this is no finished folder of shards; {_REMEDY}")
    try:
        values = json.loads(read_text(path))
        if values["schema_version"] != SCHEMA_VERSION:
            raise DataError(f"{path}: schema_version {values['schema_version']}, not {SCHEMA_VERSION}; {_REMEDY}")
        shards = tuple(map(shard_entry, values.pop("shards")))
        return Manifest(
            **{**values, "classes": tuple(values["classes"]), "balance": tuple(values["balance"]), "shards": shards}
        )
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: damaged ({error!r}); {_REMEDY}") from error
