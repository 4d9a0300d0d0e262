"""The images of shards as they are exported: their bytes, and what is known of them in words."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfrecords_tools.example import (
    BOXES_FEATURE,
    MASK_FEATURE,
    PROVENANCE_FEATURES,
    SOURCE_FEATURES,
    parse,
)
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.foundation.metadata import AGE, CATEGORIES, MISSING, PATIENT
from tfrecords_tools.foundation.texts import as_file_name
from tfrecords_tools.manifest import Manifest, ShardEntry
from tfrecords_tools.records import read_records

COLUMNS = ("image_name", "class", "split", "shard", PATIENT, AGE, *CATEGORIES, BOXES_FEATURE)
SYNTHETIC_COLUMNS = (*PROVENANCE_FEATURES, *SOURCE_FEATURES)


@dataclass(frozen=True, kw_only=True)
class ExportedImage:
    """An image to export.

    Attributes:
      name: of its file, without ending; no other image of the set has it.
      folder: of its class, a name that leads nowhere else; empty for an image without a class.
      target: the number of its class, `MISSING` without one.
      jpeg: its bytes.
      mask: a PNG of its lesions, empty without one.
      facts: what is known of it by column, in words; empty for what is not.
    """

    name: str
    folder: str
    target: int
    jpeg: bytes
    mask: bytes
    facts: Mapping[str, str]


def columns_of(manifest: Manifest) -> tuple[str, ...]:
    """Returns the columns of the facts of a set's images."""
    return COLUMNS if manifest.provenance is None else (*COLUMNS, *SYNTHETIC_COLUMNS)


def images_of(folder: AnyPath, manifest: Manifest, entries: Sequence[ShardEntry]) -> Iterator[ExportedImage]:
    """Yields the images of some shards, in their order.

    Raises:
      DataError: for classes whose folders would have one name.
    """
    taken: Counter[str] = Counter()
    folders = [_as_folder(label) for label in manifest.classes]
    if len(set(folders)) < len(folders):
        raise DataError(f"{folder}: classes whose names are one as a folder: {', '.join(manifest.classes)}; rename one")
    for entry in entries:
        for record in read_records(folder / entry.file):
            features = parse(record)
            name = as_file_name(_text(features, "image_name")) or "image"
            taken[name] += 1
            if taken[name] > 1:
                name = f"{name}~{taken[name]}"  # which no other name has
            target = features.get("target", [MISSING])[0]
            label = "" if target == MISSING else manifest.classes[target]
            own = {"class": label, "split": entry.split, "shard": entry.file}
            yield ExportedImage(
                name=name,
                folder=folders[target] if label else "",
                target=target,
                jpeg=features["image"][0],
                mask=features.get(MASK_FEATURE, [b""])[0],
                facts={column: own.get(column) or _text(features, column) for column in columns_of(manifest)},
            )


def _as_folder(label: str) -> str:
    """Returns the name of a class as that of a folder in this one, and no hidden one."""
    name = label.replace("/", "_").replace("\\", "_")
    return f"_{name}" if name.startswith(".") else name


def _text(features: Mapping[str, list], column: str) -> str:
    """Returns the values of a feature as a text: categories by name, boxes and lists apart by blanks."""
    values = features.get(column, [])
    if values == [MISSING]:
        return ""
    if column in CATEGORIES:
        values = [CATEGORIES[column].names.get(value, value) for value in values]
    return " ".join(
        value.decode() if isinstance(value, bytes) else f"{value:.9g}" if isinstance(value, float) else str(value)
        for value in values
    )
