"""Anybody's TFRecord files as a data set, such as the public Kaggle melanoma shards of 128 to 768 px.

https://www.kaggle.com/competitions/siim-isic-melanoma-classification/discussion/155579

Each record is a `tf.train.Example` with an encoded image and, in training files, a target. Other features of the public
shards are taken where they are there. A file none of whose records has a target is of the test split.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
from absl import logging
from google.protobuf.message import DecodeError

from tfrecords_tools.example import PROVENANCE_FEATURES, parse
from tfrecords_tools.foundation.class_names import require_class_names
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, ListedFile, is_in_archive, open_bytes
from tfrecords_tools.foundation.metadata import AGE, CATEGORIES, MISSING, PATIENT
from tfrecords_tools.foundation.texts import first_names
from tfrecords_tools.inspecting import LABEL_FEATURES
from tfrecords_tools.record_images import find_image_feature, image_header
from tfrecords_tools.records import is_compressed, scan_records
from tfrecords_tools.source_files import RECORD_ENDINGS, record_name
from tfrecords_tools.sources.listing import list_images
from tfrecords_tools.sources.siim_isic import CLASSES
from tfrecords_tools.sources.table import COLUMNS, SHARD, SourceOptions, SourceTable, UnknownValue, require_folder

_NAMES = ("image_name", "image_id", "filename")  # the first that is there
_MOST_NAMES = 12


@dataclass(frozen=True)
class _Image:
    """An image of a record: a row of the table, its target or None, and its width and height in pixels."""

    row: Mapping[str, Any]
    target: int | str | None
    size: tuple[int, int]


def load(folder: AnyPath, options: SourceOptions) -> SourceTable:
    """Reads every record; where an image lies is kept, and read again when its shard is written.

    Raises:
      DataError: for a missing folder, one without TFRecord files, a file that is damaged or compressed, and records
        without image or target, or of synthetic images.
    """
    del options
    require_folder(folder, "--input must hold TFRecord files")
    files = sorted(list_images(folder, RECORD_ENDINGS), key=_in_counting_order)
    if not files:
        raise DataError(f"{folder}: no TFRecord files ({', '.join(RECORD_ENDINGS)}); --input must hold some")
    images = {file.name: list(_images(folder, file)) for file in files}
    splits: dict[str, list[list[_Image]]] = {"train": [], "test": []}
    for file in files:
        if images[file.name]:
            splits[_split_of(folder / file.name, images[file.name])].append(images[file.name])
    if not splits["train"]:
        raise DataError(
            f"{folder}: no record of {len(files)} files has a target ({', '.join(LABEL_FEATURES)}); without labels "
            "nothing can be trained: give files that have some beside these"
        )
    unknown: Counter[tuple[str, str]] = Counter()
    tables = {split: _table(parts, unknown) for split, parts in splits.items() if parts}
    targets = [image.target for part in splits["train"] for image in part]
    classes = _classes(folder, targets)
    sizes = {image.size for part in images.values() for image in part}
    codes = {name: code for code, name in enumerate(classes)}
    return SourceTable(
        root=folder,
        classes=classes,
        train=tables["train"].assign(target=[each if isinstance(each, int) else codes[each] for each in targets]),
        test=tables.get("test"),
        not_understood=tuple(UnknownValue(str(folder), *value, count) for value, count in unknown.items()),
        sizes=tuple(sorted(sizes)),
    )


def _in_counting_order(file: ListedFile) -> list:
    """Returns what sorts train2 before train10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", file.name)]


def _images(folder: AnyPath, file: ListedFile) -> Iterator[_Image]:
    place = folder / file.name
    if is_in_archive(place):
        raise DataError(f"{place}: lies in a zip file, and its images are read by their place; unpack the zip file")
    with open_bytes(place) as opened:
        if is_compressed(opened):
            raise DataError(f"{place}: is compressed, and its images are read by their place; decompress it")
        for record in scan_records(opened):
            if record.payload is None:
                raise DataError(f"{place}: record {record.number} {record.problem}; write the file again")
            where = f"{place}: record {record.number}"
            try:
                features = parse(record.payload)
            except DecodeError as error:
                raise DataError(f"{where} is no tf.train.Example; give files of such records") from error
            yield _image(features, place, file, record.number, record.offset)


def _image(features: Mapping[str, list], place: AnyPath, file: ListedFile, number: int, offset: int) -> _Image:
    where = f"{place}: record {number}"
    if set(PROVENANCE_FEATURES) <= set(features):
        raise DataError(f"{where} is a synthetic image; it would pass for a real one: give files of real images")
    try:
        feature = find_image_feature([features])
    except DataError as error:
        raise DataError(f"{where} has several images, none or more than one of them called image") from error
    header = image_header(features[feature][0]) if feature and isinstance(features[feature][0], bytes) else None
    if header is None:
        raise DataError(
            f"{where} has no encoded image; it has {first_names(sorted(features), _MOST_NAMES)}, and needed are image "
            f"(a JPEG or PNG) and, to train on, target"
        )
    name, patient = _first(features, _NAMES), _known(_first(features, (PATIENT,)))
    row = {
        "image_name": _text(name) if name is not None else f"{PurePosixPath(file.name).with_suffix('')}_{number}",
        "file": record_name(file.name, offset),
        "size": len(features[feature][0]),
        "version": file.version,
        PATIENT: None if patient is None else f"{place.parent} {patient}",  # codes of other sets are of others
        AGE: _known(_first(features, (AGE,))),
        **{column: _first(features, (column,)) for column in CATEGORIES},
    }
    several = [label for label in LABEL_FEATURES if len(features.get(label, ())) > 1]
    if several:
        raise DataError(f"{where}: {several[0]} has {len(features[several[0]])} values; give the number of the class")
    target = _first(features, LABEL_FEATURES)
    if isinstance(target, float):
        target = int(target) if target.is_integer() else _text(target)
    target = _text(target) if isinstance(target, bytes) else target
    return _Image(row, None if target == MISSING else target, (header.width, header.height))


def _first(features: Mapping[str, list], names: Sequence[str]) -> Any:
    """Returns the value of the first of some features that is there and has one value, None if none is."""
    return next((features[name][0] for name in names if len(features.get(name, ())) == 1), None)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _known(value: object) -> str | float | None:
    """Returns a patient or an age, None where it is missing."""
    if value is None or value == MISSING or value == b"":
        return None
    return value if isinstance(value, float) else _text(value)


def _split_of(place: AnyPath, images: Sequence[_Image]) -> str:
    unlabelled = sum(image.target is None for image in images)
    if 0 < unlabelled < len(images):
        raise DataError(
            f"{place}: {unlabelled} of {len(images)} records have no target; keep images with and without labels in "
            "different files"
        )
    return "test" if unlabelled else "train"


def _table(parts: Sequence[Sequence[_Image]], unknown: Counter[tuple[str, str]]) -> pd.DataFrame:
    """Returns the rows of some files, with the number of each file in the column `SHARD`."""
    rows = [{**image.row, SHARD: number} for number, part in enumerate(parts) for image in part]
    table = pd.DataFrame(rows)
    for column, category in CATEGORIES.items():
        values = [_category(value, category.names) for value in table[column]]
        unknown.update((column, value) for value, is_known in values if not is_known)
        table[column] = [value if is_known else None for value, is_known in values]
    return table.assign(lesion_id=None)[[*COLUMNS, SHARD]]


def _category(value: object, names: Mapping[int, str]) -> tuple[str | None, bool]:
    """Returns what a value of a category, a code or a name, stands for, and whether that is known."""
    if value is None or value == MISSING:
        return None, True
    if isinstance(value, bytes):
        return _text(value), True
    return (names[value], True) if value in names else (str(value), False)


def _classes(folder: AnyPath, targets: Sequence[int | str]) -> tuple[str, ...]:
    """Returns the names of the classes: those that targets tell, or of the public shards, or else numbers."""
    found = set(targets)
    if all(isinstance(target, str) for target in found):
        require_class_names(sorted(found), f"{folder}")
        return tuple(sorted(found))
    wrong = [target for target in found if not isinstance(target, int) or target < 0]
    if wrong:
        raise DataError(f"{folder}: a target is {wrong[0]}; targets must be whole numbers from 0 on, or all be names")
    if max(found) < len(CLASSES):
        logging.info("%s: targets 0 and 1 are taken for %s, as in the public shards", folder, " and ".join(CLASSES))
    return CLASSES if max(found) < len(CLASSES) else tuple(str(number) for number in range(max(found) + 1))
