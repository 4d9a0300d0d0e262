"""Predictions of the test images in a CSV file that anybody may have written: `image_name` and a column of numbers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipelines.submission.texts_table import read_texts
from pipelines.submission.wanted import require_same_names
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.foundation.texts import first_names

_REMEDY = "give a CSV file with the columns image_name and target"
_INDEX = "Unnamed: "  # how pandas calls the index that it wrote as a column


def read_csv_predictions(path: AnyPath, wanted: Sequence[str], takes_any_scale: bool) -> pd.Series:
    """Returns the numbers of a CSV file by image name.

    Arguments:
      path: of the file.
      wanted: the images that it must hold, each once.
      takes_any_scale: whether numbers outside of [0, 1] are allowed.

    Raises:
      CommandError: naming the file, and the images that are missing, extra, repeated or have a wrong value.
    """
    table = read_texts(path, _REMEDY)
    require_same_names(table["image_name"].tolist(), wanted, place=str(path))
    column = _number_column(path, table)
    values = pd.Series(_numbers(table[column]).to_numpy(), index=table["image_name"])
    _require(path, np.isfinite(values), table[column], "are no finite numbers", _REMEDY)
    if not takes_any_scale:
        remedy = "--ensemble=rank takes numbers of any scale"
        _require(path, values.between(0, 1), table[column], "lie outside of 0 to 1", remedy)
    return values


def _number_column(path: AnyPath, table: pd.DataFrame) -> str:
    """Returns the one other column, or, of several, the one that holds nothing but numbers."""
    others = [name for name in table.columns if name != "image_name" and not name.startswith(_INDEX)]
    if len(others) == 1:
        return others[0]
    numeric = [name for name in others if _numbers(table[name]).notna().all()]
    if len(numeric) != 1:
        found = f"several columns of numbers: {', '.join(numeric)}" if numeric else "no column of numbers"
        raise CommandError(f"{path}: it has {found}; {_REMEDY} alone")
    return numeric[0]


def _numbers(texts: pd.Series) -> pd.Series:
    return pd.to_numeric(texts, errors="coerce").astype(np.float64)


def _require(path: AnyPath, is_right: pd.Series, texts: pd.Series, what: str, remedy: str) -> None:
    wrong = ~is_right.to_numpy()
    if wrong.any():
        cells = [f"{text!r} of {name}" for name, text in zip(is_right.index[wrong], texts[wrong], strict=True)]
        raise CommandError(f"{path}: {len(cells)} values {what}: {first_names(cells, 5)}; {remedy}")
