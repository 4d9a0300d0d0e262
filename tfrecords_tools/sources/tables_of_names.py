"""CSV tables whose rows name images that lie in a folder, with any of the usual extensions."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from unicodedata import normalize

import pandas as pd

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import MISSING_SIZE, AnyPath, ListedFile, is_file, list_files, read_bytes
from tfrecords_tools.sources.table import file_columns

EXTENSIONS = (".jpg", ".jpeg", ".png")


def read_csv(path: AnyPath, columns: Sequence[str], name_column: str) -> pd.DataFrame:
    """Returns a CSV table with a row an image; ids stay text, `age_approx` becomes a number.

    Raises:
      DataError: for a missing file, no CSV, a missing column, a row without a name, or an image in more than one row.
    """
    if not is_file(path):
        raise DataError(f"{path}: no such file; --input must be laid out as the original download")
    ids = dict.fromkeys((name_column, "patient_id", "lesion_id"), str)
    try:
        table = pd.read_csv(io.BytesIO(read_bytes(path)), dtype=ids)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV table ({error})") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    if "age_approx" in table:
        table["age_approx"] = pd.to_numeric(table["age_approx"], errors="coerce")  # some tables say "unknown"
    if table[name_column].isna().any():
        line = int(table[name_column].isna().to_numpy().argmax()) + 2  # the first holds the names of the columns
        raise DataError(f"{path}: no {name_column} in line {line}; complete or remove this row")
    repeated = table[name_column][table[name_column].duplicated()]
    if len(repeated):
        raise DataError(f"{path}: image {repeated.iloc[0]} stands in more than one row; keep one of them")
    return table


def named_files(root: AnyPath, inner: str, names: pd.Series) -> dict[str, list]:
    """Returns the file columns of the images `root/inner/<name>.<extension>`; upper-case extensions count too.

    Letters with an accent are compared composed: archives made on a Mac hold them in two parts.
    """
    found = {}
    for file in list_files(root / inner):
        path = PurePosixPath(file.name)
        if path.suffix.lower() in EXTENSIONS:
            found.setdefault(normalize("NFC", path.stem), replace(file, name=f"{inner}/{file.name}"))
    return file_columns(
        [
            found.get(normalize("NFC", name)) or ListedFile(f"{inner}/{name}{EXTENSIONS[0]}", MISSING_SIZE, 0)
            for name in names
        ]
    )
