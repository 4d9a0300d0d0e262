"""A table -> the rows of every shard: who belongs together, which shard takes whom, and the codes of the metadata.

The plan is written to the parts of the output folder before any image is converted. A run that resumes plans again
and compares: a shard that was begun is finished with the same rows, or not at all.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from absl import logging

from tfrecords_tools.folds import FOLDS_VERSION, assign_shards, group_rows
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, crc32c, is_file, read_text, write_atomically
from tfrecords_tools.foundation.metadata import AGE, CATEGORIES, MISSING, PATIENT
from tfrecords_tools.rows import MaskFile, Row, read_rows, write_rows
from tfrecords_tools.shards import PARTS_FOLDER, read_part, rows_path
from tfrecords_tools.source_files import read_source_file
from tfrecords_tools.sources.merging import MergedTable
from tfrecords_tools.sources.table import SHARD

_VERSION_FILE = "folds_version"
_FIELDS = ("image_name", PATIENT, AGE, *CATEGORIES, "target")


@dataclass(frozen=True, kw_only=True)
class ShardRows:
    """A shard to write: its rows in the table of its split, in order, as positions `[N]`."""

    split: str
    index: int
    positions: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The shards of both splits, and how the training rows were dealt: group and shard of each `[N]`.

    `boxes` of images, by their name, are in pixels of the source image; `masks` are their files.
    """

    tables: Mapping[str, pd.DataFrame]
    shards: tuple[ShardRows, ...]
    groups: np.ndarray
    shard_of_row: np.ndarray
    boxes: Mapping[str, list[list[float]]] = field(default_factory=dict)
    masks: Mapping[str, MaskFile] = field(default_factory=dict)

    def rows(self, shard: ShardRows) -> Iterator[Row]:
        """Yields the rows of a shard."""
        columns = self.tables[shard.split].iloc[shard.positions]
        plain = zip(
            *(columns[name].tolist() for name in ("source", "file", "size", "version", "crc32c", *_FIELDS)), strict=True
        )
        for source, file, size, version, checksum, *fields in plain:
            yield Row(
                source=source,
                file=file,
                size=size,
                version=version,
                crc32c=checksum,
                fields=dict(zip(_FIELDS, fields, strict=True)),
                boxes=self.boxes.get(fields[0], []),
                mask=self.masks.get(fields[0]) if shard.split == "train" else None,
            )


def plan_shards(
    table: MergedTable, duplicate_codes: np.ndarray, *, num_shards: int, seed: int, keeps_shards: bool = False
) -> Plan:
    """Returns the plan; a function of its arguments alone.

    Arguments:
      table: the data; its `train` with a column `crc32c`, None where it is not known.
      duplicate_codes: code of every training row `[N]`, equal for images that are the same.
      num_shards: how many shards each split has.
      seed: of the folds and of the order within a shard.
      keeps_shards: whether images stay in the shards of their source, in their order; then both are of no matter.

    Raises:
      DataError: if there are fewer groups than shards, or two images of a split have one name.
    """
    train, test = table.train, table.test
    for part in (train, *([] if test is None else [test])):
        _require_unique_names(part)
    groups = group_rows([train["patient_id"], train["lesion_id"], duplicate_codes])
    patients = _patient_codes([part for part in (train, test) if part is not None])
    if keeps_shards:
        shard_of_row = train[SHARD].to_numpy()
        _warn_of_leaks(groups, shard_of_row)
        shards = _kept_shards("train", shard_of_row)
    else:
        targets, sources = train["target"].to_numpy(), train["source"].to_numpy()
        shard_of_row = assign_shards(groups, targets, num_shards, seed, sources=sources)
        shards = _mixed_shards(shard_of_row, num_shards, seed)
    tables = {"train": _encoded(train, patients)}
    if test is not None:
        tables["test"] = _encoded(test.assign(target=MISSING), patients)
        shards += _kept_shards("test", test[SHARD].to_numpy()) if keeps_shards else _test_shards(len(test), num_shards)
    return Plan(tables=tables, shards=tuple(shards), groups=groups, shard_of_row=shard_of_row)


def plan_unlabelled(table: pd.DataFrame, *, num_shards: int) -> Plan:
    """Returns the plan of images without labels: a test split alone, in the order of the table.

    Arguments:
      table: the columns of a source, one or more rows.
      num_shards: how many shards, or fewer where there are not so many images.
    """
    encoded = _encoded(table.assign(source=0, target=MISSING), _patient_codes([table]))
    none = np.zeros(0, int)
    shards = _test_shards(len(table), num_shards)
    return Plan(tables={"test": encoded}, shards=tuple(shards), groups=none, shard_of_row=none)


@dataclass(frozen=True)
class Fingerprints:
    """SHA-256 of the rows, and of the rows with their shards; neither knows where files lie and how old they are."""

    rows: str
    folds: str


def write_plan(folder: AnyPath, plan: Plan, roots: Sequence[AnyPath]) -> Fingerprints:
    """Writes the rows of every shard and returns their fingerprints.

    Raises:
      DataError: naming the first image that is not what an earlier run into this folder began with, or whose boxes
        or mask are others than those of its finished shard; or if that run dealt images by other rules.
    """
    _require_same_rules(folder, plan)
    folds, sum_of_rows = hashlib.sha256(), 0
    for shard in plan.shards:
        path = rows_path(folder, shard.split, shard.index)
        rows = list(plan.rows(shard))
        for row in rows:
            digest = hashlib.sha256(
                json.dumps([shard.split, row.source, row.file, row.size, row.fields]).encode()
            ).digest()
            folds.update(digest + shard.index.to_bytes(4, "big"))
            sum_of_rows += int.from_bytes(digest, "big")  # a sum does not depend on the order
        if is_file(path):
            _require_same_rows(folder, shard, rows, roots)
        write_rows(path, rows)
    return Fingerprints(hashlib.sha256(str(sum_of_rows).encode()).hexdigest(), folds.hexdigest())


def _require_same_rules(folder: AnyPath, plan: Plan) -> None:
    """Compares the version of the folds with that of the run that began the folder; none had version 1."""
    path = folder / PARTS_FOLDER / _VERSION_FILE
    begun = is_file(rows_path(folder, plan.shards[0].split, plan.shards[0].index))
    begun_with = read_text(path).strip() if is_file(path) else "1" if begun else None
    if begun_with not in (None, str(FOLDS_VERSION)):
        raise DataError(
            f"{folder}: begun by another version of melgan, which deals images to shards by other rules (version "
            f"{begun_with}, now {FOLDS_VERSION}); finish it with that one, or start in another folder"
        )
    if begun_with is None:
        write_atomically(path, f"{FOLDS_VERSION}\n")


def _require_same_rows(folder: AnyPath, shard: ShardRows, rows: Sequence[Row], roots: Sequence[AnyPath]) -> None:
    """Compares the rows of a shard with those that it was begun with."""
    begun = list(read_rows(rows_path(folder, shard.split, shard.index)))
    name = f"{shard.split}{shard.index:02d}"
    if len(begun) != len(rows):
        raise DataError(
            f"{folder}: {name} was begun with {len(begun)} images and would now have {len(rows)}; the tables or images "
            "of --input have changed, put them back or start in another folder"
        )
    written = _written_crc32c(folder, shard, begun, rows)
    for old, new, written_crc32c in zip(begun, rows, written, strict=True):
        root, place = roots[new.source], roots[new.source] / new.file
        if (old.source, old.file, old.fields) != (new.source, new.file, new.fields):
            raise DataError(
                f"{folder}: {name} was begun with {old.file} {old.fields} where {new.file} {new.fields} stands now; "
                "the tables or images of --input have changed, put them back or start in another folder"
            )
        if old.size != new.size or _is_other_content(root, old, new, old.crc32c or written_crc32c):
            raise DataError(
                f"{place}: changed since this run began ({old.size} bytes, now {new.size}); put the old file back, or "
                "start in another folder"
            )
    _require_same_lesions(folder, shard, begun, rows)


def _require_same_lesions(folder: AnyPath, shard: ShardRows, begun: Sequence[Row], rows: Sequence[Row]) -> None:
    """Compares the boxes and masks of a shard that is finished; those of the others may be corrected."""
    both = list(zip(begun, rows, strict=True))
    changed = {
        "boxes": [new for old, new in both if old.boxes != new.boxes],
        "masks": [new for old, new in both if _checksum(old.mask) != _checksum(new.mask)],
    }
    if any(changed.values()) and (finished := read_part(folder, shard.split, shard.index)):
        kind, (first, *_) = next(each for each in changed.items() if each[1])
        raise DataError(
            f"{folder}: {finished.entry.file} was made with other {kind} of {first.fields['image_name']} than "
            f"--{kind} has now; put the old ones back, or start in another folder"
        )


def _checksum(mask: MaskFile | None) -> str | None:
    return None if mask is None else mask.crc32c


def _written_crc32c(
    folder: AnyPath, shard: ShardRows, begun: Sequence[Row], rows: Sequence[Row]
) -> Sequence[str | None]:
    """Returns the checksums of the files that the shard was made of, if it is finished and they are asked for.

    To know that it is finished takes reading it, so that is left out where no file was written anew.
    """
    wanted = any(old.version != new.version and old.crc32c is None for old, new in zip(begun, rows, strict=True))
    finished = read_part(folder, shard.split, shard.index) if wanted else None
    return finished.sources_crc32c if finished else [None] * len(begun)


def _is_other_content(root: AnyPath, old: Row, new: Row, known_crc32c: str | None) -> bool:
    if old.version == new.version or known_crc32c is None:  # or nothing was made of the file yet
        return False
    return known_crc32c != (new.crc32c or crc32c(read_source_file(root, new.file, new.size)))


def _require_unique_names(table: pd.DataFrame) -> None:
    repeated = table["image_name"][table["image_name"].duplicated()]
    if len(repeated):
        raise DataError(
            f"image {repeated.iloc[0]} comes from more than one source ({len(repeated)} such images); "
            "--duplicates=drop keeps the first where the pictures are the same; rename the others"
        )


def _test_shards(count: int, num_shards: int) -> list[ShardRows]:
    """Returns the shards of the test split, whose rows stay in the order of their table."""
    parts = np.array_split(np.arange(count), min(num_shards, max(count, 1)))
    return [ShardRows(split="test", index=index, positions=part) for index, part in enumerate(parts)]


def _mixed_shards(shard_of_row: np.ndarray, num_shards: int, seed: int) -> list[ShardRows]:
    """Returns the training shards, in each the rows in an order of their own."""
    return [
        ShardRows(split="train", index=index, positions=_mixed(np.flatnonzero(shard_of_row == index), seed, index))
        for index in range(num_shards)
    ]


def _kept_shards(split: str, shard_of_row: np.ndarray) -> list[ShardRows]:
    """Returns the shards of a split as they are in its source."""
    return [
        ShardRows(split=split, index=index, positions=np.flatnonzero(shard_of_row == shard))
        for index, shard in enumerate(np.unique(shard_of_row))
    ]


def _warn_of_leaks(groups: np.ndarray, shard_of_row: np.ndarray) -> None:
    """Warns of patients, or of images that are the same, that lie in several shards: folds of these leak."""
    apart = pd.Series(shard_of_row).groupby(groups).nunique().gt(1).sum()
    if apart:
        logging.warning(
            "%d patients, or groups of images that are the same, lie in several shards, so folds of these shards leak; "
            "--folds=anew keeps each in one",
            apart,
        )


def _mixed(positions: np.ndarray, seed: int, index: int) -> np.ndarray:
    return positions[np.random.default_rng([seed, index]).permutation(len(positions))]


def _patient_codes(tables: Iterable[pd.DataFrame]) -> dict[str, int]:
    """Returns the public shards' codes: order of first appearance in train, then test."""
    patients = pd.concat([table["patient_id"] for table in tables]).dropna().unique()
    return {patient: code for code, patient in enumerate(patients)}


def _encoded(table: pd.DataFrame, patients: Mapping[str, int]) -> pd.DataFrame:
    """Returns the table with integers for the metadata."""
    known = {
        PATIENT: _coded(table[PATIENT], lambda patient: patients[patient]),
        AGE: table[AGE].astype(float).round().fillna(MISSING).astype(np.int64),
    }
    known |= {name: _coded(table[name], category.encode) for name, category in CATEGORIES.items()}
    checksums = {} if "crc32c" in table else {"crc32c": None}
    return table.assign(**known, **checksums)


def _coded(values: pd.Series, code: Callable[[str], int]) -> pd.Series:
    codes = {value: code(value) for value in values.dropna().unique()}
    return values.map(codes).fillna(MISSING).astype(np.int64)
