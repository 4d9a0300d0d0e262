"""The interface of every source: tables of image files with their metadata."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, ListedFile, is_folder, is_remote
from tfrecords_tools.foundation.metadata import METADATA

FILE_COLUMNS = ("file", "size", "version")
SHARD = "shard"  # number of the file that an image lies in, of a source whose images lie in shards
COLUMNS = ("image_name", *FILE_COLUMNS, "lesion_id", *METADATA)


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Options of a source beside its folder; only `phantom`, which draws its images, uses these."""

    num_images: int
    seed: int


@dataclass(frozen=True)
class UnknownValue:
    """A value of a column that was not understood and counts as missing, and how many images have it."""

    table: str
    column: str
    value: str
    images: int


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """A data set before conversion.

    `train` and `test` hold the columns `COLUMNS`, with missing values as None or NaN; `train` also `target`, the
    index into `classes`. `file` is a path from `root`, `size` its bytes (`MISSING_SIZE` if there is none) and
    `version` as in `ListedFile`. Rows of one `patient_id` or one `lesion_id` belong together. `test` is None where
    the source has no such split. `not_understood` are the values of its tables that count as missing, `masks` is the
    folder of the true masks of a source that has any. A source whose images lie in shards has a
    column `SHARD` too, and tells the `sizes` of its images, width and height in pixels.
    """

    root: AnyPath
    classes: tuple[str, ...]
    train: pd.DataFrame
    test: pd.DataFrame | None = None
    sample_submission: AnyPath | None = None
    not_understood: tuple[UnknownValue, ...] = ()
    masks: AnyPath | None = None
    sizes: tuple[tuple[int, int], ...] = ()


def image_table(files: Sequence[ListedFile], names: Sequence[str], targets: Sequence[int]) -> pd.DataFrame:
    """Returns a table of images without metadata."""
    table = pd.DataFrame({"image_name": list(names), **file_columns(files)})
    for column in COLUMNS:
        if column not in table:
            table[column] = None
    return table[list(COLUMNS)].assign(target=list(targets))


def file_columns(files: Sequence[ListedFile]) -> dict[str, list]:
    """Returns the columns `FILE_COLUMNS` of files."""
    return {
        "file": [file.name for file in files],
        "size": [file.size for file in files],
        "version": [file.version for file in files],
    }


def require_folder(folder: AnyPath, remedy: str) -> None:
    """Raises DataError unless the folder exists."""
    if not is_folder(folder):
        kind = "folder in this bucket, or no such bucket" if is_remote(folder) else "folder"
        raise DataError(f"{folder}: no such {kind}; {remedy}")
