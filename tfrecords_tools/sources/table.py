"""What every source returns: tables of image files with their metadata."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tfrecords_tools.errors import DataError

METADATA_COLUMNS = ("patient_id", "sex", "age_approx", "anatom_site_general_challenge", "diagnosis")
COLUMNS = ("image_name", "file", *METADATA_COLUMNS)


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """What a source may be asked beside its folder; only `phantom`, which draws its images, uses these."""

    num_images: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """A data set before conversion.

    `train` and `test` hold the columns `COLUMNS`, with missing values as None or NaN; `train` also `target`, the
    index into `classes`. `test` is None where the source has no such split. `root` is the folder that holds all files.
    """

    root: Path
    classes: tuple[str, ...]
    train: pd.DataFrame
    test: pd.DataFrame | None = None
    sample_submission: Path | None = None


def image_table(files: list[Path], names: list[str], targets: list[int] | None = None) -> pd.DataFrame:
    """Returns a table of images without metadata."""
    table = pd.DataFrame({"image_name": names, "file": files})
    for column in METADATA_COLUMNS:
        table[column] = None
    if targets is not None:
        table["target"] = targets
    return table


def require_folder(folder: Path, remedy: str) -> None:
    """Raises DataError unless the folder exists."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; {remedy}")
