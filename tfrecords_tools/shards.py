"""One shard job: rows -> one file, atomically, with its counts and digests in a small file beside it.

A shard counts as done when `parts/<split><index>.json` vouches for it: that file is written after the shard is
whole and under its final name, so a kill at any moment loses at most the shard being written.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tfrecords_tools import example
from tfrecords_tools.boxes import Box, boxes_in_stored, describe_box, first_outside
from tfrecords_tools.foundation.documents import as_plain, from_plain
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import (
    AnyPath,
    as_path,
    crc32c,
    file_crc32c,
    is_file,
    is_remote,
    is_unfinished,
    list_files,
    publish,
    read_text,
    remove,
    remove_folder,
    unfinished_file,
    write_atomically,
)
from tfrecords_tools.foundation.metadata import MISSING
from tfrecords_tools.images import Converted, Encoding, RefusedImage, convert
from tfrecords_tools.manifest import ShardEntry, describe_shard, shard_file_name
from tfrecords_tools.masks import boxes_of_mask, encode_mask, mask_in_stored, read_mask
from tfrecords_tools.records import frame
from tfrecords_tools.rows import MaskFile, Row, read_rows
from tfrecords_tools.source_files import read_source_file

PARTS_FOLDER = "parts"

_READ_AHEAD = 8  # images of a bucket that are on their way while one is converted


@dataclass(frozen=True, kw_only=True)
class ShardJob:
    """All that a worker needs for one shard; its rows lie in the parts of `folder`, see `rows_path`.

    `roots` are the folders of the sources, which no file may lie outside of, and `masks` that of the masks. With
    `find_boxes` and `find_masks`, lesions are looked for in the pictures; boxes and masks of the rows are not used
    then. With `boxes_of_masks`, boxes lie around the masks.
    """

    folder: str
    split: str
    index: int
    num_classes: int
    roots: tuple[str, ...]
    encoding: Encoding
    find_boxes: bool = False
    masks: str = ""
    find_masks: bool = False
    boxes_of_masks: bool = False

    @property
    def name(self) -> str:
        """Returns a name such as train03."""
        return f"{self.split}{self.index:02d}"


@dataclass(frozen=True)
class ShardResult:
    """A finished shard.

    `rejected` holds (image_name, file, reason) of every image left out, `sources_crc32c` the checksum of the file of
    every row, None for those that could not be read. `blank` holds (image_name, file) of every image of one colour.
    """

    entry: ShardEntry
    rejected: tuple[tuple[str, str, str], ...] = ()
    sources_crc32c: tuple[str | None, ...] = ()
    blank: tuple[tuple[str, str], ...] = ()


def rows_path(folder: AnyPath, split: str, index: int) -> AnyPath:
    """Returns the file with the rows of a shard."""
    return folder / PARTS_FOLDER / f"{split}{index:02d}.rows.jsonl"


def write_shard(job: ShardJob) -> ShardResult:
    """Converts the images of a job into one shard, or returns the shard of an earlier run if it is whole.

    Raises:
      DataError: if an image or mask is not the one that the rows were made from, or a box or mask does not fit its
        image.
    """
    folder = as_path(job.folder)
    done = read_part(folder, job.split, job.index)
    if done is not None:
        return done
    rejected, checksums, blank = [], [], []

    def examples() -> Iterator[example.Example]:
        roots = [as_path(root) for root in job.roots]
        for row, files in _with_files(read_rows(rows_path(folder, job.split, job.index)), roots, as_path(job.masks)):
            data = files.image
            checksums.append(None if isinstance(data, RefusedImage) else row.crc32c or crc32c(data))
            try:
                converted = _convert(data, job.encoding)
                if converted.is_blank:
                    blank.append((row.fields["image_name"], str(roots[row.source] / row.file)))
                yield _example(row, converted, files.mask, job)
            except RefusedImage as refusal:
                rejected.append((row.fields["image_name"], str(roots[row.source] / row.file), str(refusal)))

    entry = write_examples(folder, job.split, job.index, examples(), job.num_classes)
    return write_part(folder, ShardResult(entry, tuple(rejected), tuple(checksums), tuple(blank)))


def write_examples(
    folder: AnyPath, split: str, index: int, examples: Iterable[example.Example], num_classes: int
) -> ShardEntry:
    """Writes an iterable of examples as one shard; it has its final name only when it is whole and on disk."""
    counts, boxed_counts, masked_counts = ([0] * num_classes for _ in range(3))
    records, made_from = 0, set()
    with unfinished_file(folder, f"{split}{index:02d}.tfrec") as unfinished:
        with open(unfinished, "wb") as file:
            for item in examples:
                file.write(frame(example.serialize(item)))
                records += 1
                if item.target != MISSING:
                    counts[item.target] += 1
                    boxed_counts[item.target] += bool(item.boxes)
                    masked_counts[item.target] += bool(item.mask)
                if item.provenance is not None:
                    made_from.update(item.provenance.made_from_shards)
        path = folder / shard_file_name(split, index, records)
        publish(unfinished, path)
    return describe_shard(
        path,
        () if split == "test" else tuple(counts),
        boxed_counts=tuple(boxed_counts) if any(boxed_counts) else (),
        masked_counts=tuple(masked_counts) if any(masked_counts) else (),
        made_from=tuple(sorted(made_from)),
    )


def write_part(folder: AnyPath, result: ShardResult) -> ShardResult:
    """Vouches for a finished shard; returns the result."""
    write_atomically(_part_path(folder, result.entry.split, result.entry.index), json.dumps(as_plain(result)))
    return result


def read_part(folder: AnyPath, split: str, index: int) -> ShardResult | None:
    """Returns the shard that an earlier run finished, if its bytes are still those; otherwise None."""
    path = _part_path(folder, split, index)
    if not is_file(path):
        return None
    try:
        result = from_plain(ShardResult, json.loads(read_text(path)))
    except ValueError:
        return None
    shard = folder / result.entry.file
    return result if is_file(shard) and file_crc32c(shard) == result.entry.crc32c else None


def remove_leftovers(folder: AnyPath, keep: Sequence[str] = ()) -> None:
    """Removes half-written files, and shards that are not in `keep`."""
    for file in list_files(folder):
        if is_unfinished(file.name) or (file.name.endswith(".tfrec") and file.name not in keep):
            remove(folder / file.name)


def remove_parts(folder: AnyPath) -> None:
    """Removes the parts, once the manifest stands and vouches for the shards."""
    remove_folder(folder / PARTS_FOLDER)


def _part_path(folder: AnyPath, split: str, index: int) -> AnyPath:
    return folder / PARTS_FOLDER / f"{split}{index:02d}.json"


@dataclass(frozen=True)
class _Files:
    """The files of a row: its image, or why there is none, and its mask if it has one."""

    image: bytes | RefusedImage
    mask: bytes | None


def _with_files(rows: Iterator[Row], roots: Sequence[AnyPath], masks: AnyPath) -> Iterator[tuple[Row, _Files]]:
    """Yields every row with its files; those of a bucket are fetched ahead, for their way is long."""

    def read(row: Row) -> _Files:
        mask = None if row.mask is None else _read_mask(row.mask, masks)
        return _Files(_read_image(row, roots[row.source]), mask)

    if not any(is_remote(root) for root in (*roots, masks)):
        yield from ((row, read(row)) for row in rows)
        return
    with ThreadPoolExecutor(_READ_AHEAD) as threads:
        coming = deque((row, threads.submit(read, row)) for row in islice(rows, _READ_AHEAD))
        while coming:
            row, future = coming.popleft()
            yield row, future.result()
            coming.extend((row, threads.submit(read, row)) for row in islice(rows, 1))


def _read_image(row: Row, root: AnyPath) -> bytes | RefusedImage:
    """Returns the image of a row, or why there is none."""
    try:
        data = read_source_file(root, row.file, row.size)
    except RefusedImage as refusal:
        return refusal
    if len(data) != row.size or row.crc32c not in (None, crc32c(data)):
        raise DataError(
            f"{root / row.file}: changed while this run was under way ({row.size} bytes, now {len(data)}); "
            "put the old file back and start the same command again, or start in another folder"
        )
    return data


def _read_mask(mask: MaskFile, folder: AnyPath) -> bytes:
    data = read_source_file(folder, mask.file, mask.size)
    if crc32c(data) != mask.crc32c:
        raise DataError(
            f"{folder / mask.file}: changed while this run was under way; put the old file back and start the same "
            "command again, or start in another folder"
        )
    return data


def _convert(data: bytes | RefusedImage, encoding: Encoding) -> Converted:
    if isinstance(data, RefusedImage):
        raise data
    return convert(data, encoding)


def _mask(row: Row, converted: Converted, data: bytes | None, job: ShardJob) -> np.ndarray | None:
    """Returns the mask of the stored image; test images have none.

    Arguments:
      data: the mask of its source image.
    """
    if job.split == "test":
        return None
    if job.find_masks:
        from tfrecords_tools.lesion_mask import find_mask  # noqa: PLC0415  SciPy costs every worker 28 MB

        return find_mask(np.asarray(converted.picture), job.encoding.image_size)
    if data is None:
        return None
    mask = read_mask(data, str(as_path(job.masks) / row.mask.file), converted.source_size)
    return mask_in_stored(mask, job.encoding)


def _boxes(row: Row, converted: Converted, mask: np.ndarray | None, job: ShardJob) -> tuple[Box, ...]:
    """Returns the boxes of the stored image, which may have a mask; test images have none."""
    if job.split == "test":
        return ()
    if job.boxes_of_masks:
        return () if mask is None else boxes_of_mask(mask)
    if job.find_boxes:
        from tfrecords_tools.lesion_box import find_lesion  # noqa: PLC0415  SciPy costs every worker 28 MB

        box = find_lesion(np.asarray(converted.picture))
        return () if box is None else (box,)
    if outside := first_outside(row.boxes, converted.source_size):
        width, height = converted.source_size
        raise DataError(
            f"image {row.fields['image_name']}: the box {describe_box(outside)} leaves it, it has {width} x {height} "
            "pixels; correct its row in --boxes, then start the same command again"
        )
    return boxes_in_stored(row.boxes, converted.source_size, job.encoding.fit)


def _example(row: Row, converted: Converted, mask_data: bytes | None, job: ShardJob) -> example.Example:
    metadata, side = dict(row.fields), job.encoding.image_size
    mask = _mask(row, converted, mask_data, job)
    return example.Example(
        image=converted.jpeg,
        image_name=metadata.pop("image_name"),
        target=metadata.pop("target"),
        metadata=metadata,
        width=side,
        height=side,
        source=row.source,
        boxes=_boxes(row, converted, mask, job),
        mask=b"" if mask is None else encode_mask(mask),
    )
