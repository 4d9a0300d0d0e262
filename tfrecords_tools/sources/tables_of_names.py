"""CSV tables whose rows name images that lie in a folder, with any of the usual extensions."""

import io
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from unicodedata import normalize

import pandas as pd
from absl import logging

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import MISSING_SIZE, AnyPath, ListedFile, is_file, list_files, read_bytes
from tfrecords_tools.foundation.metadata import AGE, CATEGORIES, METADATA, MISSING, PATIENT
from tfrecords_tools.foundation.texts import first_names, has_control_characters
from tfrecords_tools.sources.listing import is_of_the_system
from tfrecords_tools.sources.table import UnknownValue, file_columns

EXTENSIONS = (".jpg", ".jpeg", ".png")

_MISSING_VALUES = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A")
_LEAST_MATCHING = 0.5  # of the names of a table; fewer are no images that are missing, but other names
_SITE, _SITE_OF_THE_ARCHIVE = "anatom_site_general_challenge", "anatom_site_general"  # of Kaggle, of ISIC 2019
_SHOWN = 5  # values that a warning names
_SMALL = 10  # names; of so few, one will do


def read_csv(path: AnyPath, columns: Sequence[str], name_column: str) -> tuple[pd.DataFrame, tuple[UnknownValue, ...]]:
    """Returns a CSV table with a row an image, and what of it was not understood; `age_approx` becomes a number.

    Names of columns and of images are trimmed, columns known by any case, and images without the ending of a file.

    Raises:
      DataError: for a missing file, no CSV, a missing column, a row without a name or with control
        characters in it, or an image in more than one row.
    """
    if not is_file(path):
        raise DataError(f"{path}: no such file; --input must be laid out as the original download")
    table = _parse(path, read_bytes(path), columns, name_column)
    missing = [column for column in columns if column not in table]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")
    unknown = []
    for column in table.columns.intersection([AGE, *CATEGORIES]):
        texts = table[column]
        if column == AGE:
            table[AGE] = _ages(texts)
        is_missing = table[AGE].isna() if column == AGE else texts.map(CATEGORIES[column].encode, "ignore") == MISSING
        unknown += _unknown_values(path, column, texts[texts.notna() & is_missing])
    names = table[name_column].map(_without_ending, na_action="ignore")
    if (nameless := names.isna() | (names == "")).any():
        line = int(nameless.to_numpy().argmax()) + 2  # the first holds the names of the columns
        raise DataError(f"{path}: no {name_column} in line {line}; complete or remove this row")
    if (unspeakable := names.map(has_control_characters)).any():
        raise DataError(f"{path}: {name_column} {names[unspeakable].iloc[0]!r} holds control characters; rename it")
    repeated = names[names.duplicated()]
    if len(repeated):
        raise DataError(f"{path}: image {repeated.iloc[0]} stands in more than one row; keep one of them")
    return table.assign(**{name_column: names}), tuple(unknown)


def _parse(path: AnyPath, data: bytes, columns: Sequence[str], name_column: str) -> pd.DataFrame:
    """Returns the table of CSV bytes, with ids and ages as text and columns as they are expected to be called."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: its encoding is UTF-16; save it as UTF-8")
    try:
        header = pd.read_csv(io.BytesIO(data), nrows=0, index_col=False).columns
        known = {column.lower(): column for column in (*columns, name_column, *METADATA, "lesion_id")}
        called = {column: known.get(column.strip().lower(), column.strip()) for column in header}
        if not set(called.values()) & {*columns, name_column} and (
            found := [mark for mark in ";\t|" if mark in header[0]]
        ):
            raise DataError(f"{path}: its columns are separated by {found[0]!r}; save it with commas")
        ids = {column for column, name in called.items() if name in (name_column, PATIENT, "lesion_id", AGE)}
        # An image may be called NA; in all other columns that is a missing value.
        missing = {column: [] if called[column] == name_column else list(_MISSING_VALUES) for column in header}
        table = pd.read_csv(
            io.BytesIO(data), dtype=dict.fromkeys(ids, str), index_col=False, keep_default_na=False, na_values=missing
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV table ({str(error).strip()}); correct it") from error
    table = table.rename(columns=called)
    return table if _SITE in table else table.rename(columns={_SITE_OF_THE_ARCHIVE: _SITE})


def _ages(texts: pd.Series) -> pd.Series:
    """Returns ages in years, also of texts such as `85+`, `45 years` and `055Y`; NaN where they are not understood."""
    pattern = r"(?i)^\s*(\d+(?:\.\d+)?)\s*(?:\+|y|years?)?\s*$"
    return texts.astype("string").str.extract(pattern, expand=False).astype(float)


def _unknown_values(path: AnyPath, column: str, values: pd.Series) -> list[UnknownValue]:
    """Returns the values of a column that were not understood, the most frequent first, and warns of them."""
    values = values[values.astype("string").str.strip().str.lower() != "unknown"]
    found = [UnknownValue(str(path), column, str(value), count) for value, count in values.value_counts().items()]
    if found:
        counts = first_names([f"{each.value!r} ({each.images})" for each in found], _SHOWN)
        logging.warning("%s: %s is not understood and counts as missing: %s", path, column, counts)
    return found


def require_matches(table: AnyPath, names: Sequence[str], place: AnyPath, others: Collection[str]) -> None:
    """Does nothing if at least half of the names of a table are those of something else, too.

    Raises:
      DataError: with two names of each side, if fewer match, or of a small table none.
    """
    matching = sum(name in others for name in names)
    few = _LEAST_MATCHING * len(names) if len(names) > _SMALL else 1
    if names and matching < few:
        unmatched = [name for name in names if name not in others]
        raise DataError(
            f"{table}: {matching} of its {len(names)} images are in {place}; it has {', '.join(unmatched[:2])}, there "
            f"is {', '.join(sorted(others)[:2]) or 'nothing'}; give those that belong together"
        )


def named_files(root: AnyPath, inner: str, names: pd.Series) -> dict[str, list]:
    """Returns the file columns of the images `root/inner/<name>.<extension>`; names are known by any case.

    Letters with an accent are compared composed: archives made on a Mac hold them in two parts.

    Raises:
      DataError: if most names have no file.
    """
    found: dict[str, ListedFile] = {}
    for file in list_files(root / inner):
        path = PurePosixPath(file.name)
        if path.suffix.lower() in EXTENSIONS and not is_of_the_system(file.name):
            found.setdefault(normalize("NFC", path.stem), replace(file, name=f"{inner}/{file.name}"))
    in_any_case = {name.lower(): file for name, file in reversed(found.items())}
    wanted = [normalize("NFC", name) for name in names]
    files = [found.get(name) or in_any_case.get(name.lower()) for name in wanted]
    require_matches(root, [name.lower() for name in wanted], root / inner, in_any_case)
    nameless = [ListedFile(f"{inner}/{name}{EXTENSIONS[0]}", MISSING_SIZE, 0) for name in names]
    return file_columns([file or missing for file, missing in zip(files, nameless, strict=True)])


def _without_ending(name: str) -> str:
    """Returns the name of an image, trimmed and without the ending of its file."""
    name = name.strip()
    return name[: -len(PurePosixPath(name).suffix)] if name.lower().endswith(EXTENSIONS) else name
