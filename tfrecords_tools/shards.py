"""One shard job: rows -> one file, atomically, with its counts and digests in a small file beside it.

A shard counts as done when `parts/<split><index>.json` vouches for it: that file is written after the shard is
whole and under its final name, so a kill at any moment loses at most the shard being written.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tfrecords_tools import example
from tfrecords_tools.images import Encoding, RefusedImage, to_jpeg
from tfrecords_tools.manifest import ShardEntry, describe_shard, file_crc32c, shard_file_name, write_atomically
from tfrecords_tools.records import frame

PARTS_FOLDER = "parts"


@dataclass(frozen=True)
class Row:
    """One image to convert: its file, and everything of its example but the image itself."""

    file: Path
    fields: dict


@dataclass(frozen=True, kw_only=True)
class ShardJob:
    """All that a worker needs for one shard. `root` is the folder that no file may lie outside of."""

    folder: Path
    split: str
    index: int
    num_classes: int
    rows: tuple[Row, ...]
    root: Path
    encoding: Encoding


@dataclass(frozen=True)
class ShardResult:
    """A finished shard; `rejected` holds (image_name, file, reason) of every image left out."""

    entry: ShardEntry
    rejected: tuple[tuple[str, str, str], ...]


def write_shard(job: ShardJob) -> ShardResult:
    """Converts the images of a job into one shard, or returns the shard of an earlier run if it is whole."""
    done = read_part(job.folder, job.split, job.index)
    if done is not None:
        return done
    rejected = []

    def examples() -> Iterator[example.Example]:
        for row in job.rows:
            try:
                yield example.Example(image=_convert(row.file, job), **_with_size(row.fields, job.encoding))
            except RefusedImage as refusal:
                rejected.append((row.fields["image_name"], str(row.file), str(refusal)))

    entry = write_examples(job.folder, job.split, job.index, examples(), job.num_classes)
    return write_part(job.folder, ShardResult(entry, tuple(rejected)))


def write_examples(
    folder: Path, split: str, index: int, examples: Iterable[example.Example], num_classes: int
) -> ShardEntry:
    """Writes an iterable of examples as one shard; it has its final name only when it is whole and on disk."""
    counts = [0] * num_classes
    records = 0
    temporary = folder / f".{split}{index:02d}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            for item in examples:
                file.write(frame(example.serialize(item)))
                records += 1
                if item.target != example.MISSING:
                    counts[item.target] += 1
            file.flush()
            os.fsync(file.fileno())
        path = folder / shard_file_name(split, index, records)
        os.replace(temporary, path)
    finally:
        for leftover in folder.glob(f".{split}{index:02d}.*.tmp"):  # ours, or that of a worker killed at this shard
            leftover.unlink(missing_ok=True)
    return describe_shard(path, () if split == "test" else tuple(counts))


def write_part(folder: Path, result: ShardResult) -> ShardResult:
    """Vouches for a finished shard; returns the result."""
    entry = result.entry
    path = _part_path(folder, entry.split, entry.index)
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, json.dumps({"entry": asdict(entry), "rejected": result.rejected}))
    return result


def read_part(folder: Path, split: str, index: int) -> ShardResult | None:
    """Returns the shard that an earlier run finished, if its bytes are still those; otherwise None."""
    path = _part_path(folder, split, index)
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text())
        entry = ShardEntry(**{**values["entry"], "class_counts": tuple(values["entry"]["class_counts"])})
        rejected = tuple(tuple(rejection) for rejection in values["rejected"])
    except (KeyError, TypeError, ValueError):
        return None
    shard = folder / entry.file
    if not shard.is_file() or file_crc32c(shard) != entry.crc32c:
        return None
    return ShardResult(entry, rejected)


def remove_leftovers(folder: Path, keep: Sequence[str] = ()) -> None:
    """Removes half-written files, and shards that are not in `keep`."""
    for path in [*folder.glob(".*.tmp"), *folder.glob("*.tfrec")]:
        if path.name not in keep:
            path.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Removes the parts, once the manifest stands and vouches for the shards."""
    shutil.rmtree(folder / PARTS_FOLDER, ignore_errors=True)


def _part_path(folder: Path, split: str, index: int) -> Path:
    return folder / PARTS_FOLDER / f"{split}{index:02d}.json"


def _convert(file: Path, job: ShardJob) -> bytes:
    if not file.resolve().is_relative_to(job.root.resolve()):
        raise RefusedImage(f"the path leaves the input folder {job.root}")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise RefusedImage(f"cannot be read: {error.strerror}") from error
    return to_jpeg(data, job.encoding)


def _with_size(fields: dict, encoding: Encoding) -> dict:
    return {**fields, "width": encoding.image_size, "height": encoding.image_size}
