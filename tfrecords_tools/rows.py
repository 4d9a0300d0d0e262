"""The rows of a shard as a file: one JSON line an image, so that nobody has to hold the rows of a whole data set."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields

from tfrecords_tools.foundation.files import AnyPath, is_remote, read_text, write_atomically


@dataclass(frozen=True, slots=True)
class MaskFile:
    """The mask of an image: its path from the folder of masks, size in bytes and CRC-32C."""

    file: str
    size: int
    crc32c: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One image to convert.

    `file` is a path from the root of its `source`, which is an index; `size` in bytes, -1 if the file was not there;
    `version` as in `ListedFile`; `crc32c` of the file if it is known; `fields` are fields of `Example`, without image;
    `boxes` of lesions are in pixels of the source image; `mask` shows them, None without one.
    """

    source: int
    file: str
    size: int
    version: int
    crc32c: str | None
    fields: dict
    boxes: list[list[float]] = field(default_factory=list)
    mask: MaskFile | None = None


def write_rows(path: AnyPath, rows: Iterable[Row]) -> None:
    """Writes the rows of a shard."""
    write_atomically(path, "".join(json.dumps(_as_dict(row)) + "\n" for row in rows))


def read_rows(path: AnyPath) -> Iterator[Row]:
    """Yields the rows of a shard, in order."""
    if is_remote(path):
        yield from map(_as_row, read_text(path).splitlines())
        return
    with open(path, encoding="utf-8") as lines:
        yield from map(_as_row, lines)


def _as_row(line: str) -> Row:
    values = json.loads(line)
    mask = values.get("mask")
    return Row(**values | {"mask": mask and MaskFile(**mask)})


def _as_dict(row: Row) -> dict:
    """Returns what `dataclasses.asdict` does, without its copies, which would take most of the time of a plan."""
    return {name: getattr(row, name) for name in _NAMES} | {"mask": row.mask and asdict(row.mask)}


_NAMES = tuple(field.name for field in fields(Row))
