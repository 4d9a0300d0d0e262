"""CSV tables of images that anybody may have written, all of their columns as text."""

import io

import pandas as pd

from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, is_file, read_bytes


def read_texts(path: AnyPath, remedy: str) -> pd.DataFrame:
    """Returns a table with a column image_name; an image may be called NA.

    Raises:
      CommandError: with the remedy, if there is no such file, it is no CSV table, or it has no such column.
    """
    if not is_file(path):
        raise CommandError(f"{path}: no such file; {remedy}")
    try:
        table = pd.read_csv(io.BytesIO(read_bytes(path)), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: not a CSV table in UTF-8 ({str(error).strip()}); {remedy}") from error
    if "image_name" not in table:
        raise CommandError(f"{path}: no column image_name; it has {', '.join(table.columns)}")
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first columns for an index then
        raise CommandError(f"{path}: its rows have more values than its first line has names of columns; {remedy}")
    return table
