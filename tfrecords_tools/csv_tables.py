"""CSV files in which a text is never a formula.

Spreadsheets compute a cell that begins with one of `= + - @`, even in quotes. Such a text has an apostrophe before it
in the file (as OWASP, "CSV Injection", has it), and so has one in which only apostrophes stand before that character,
so that every text can be read again. Numbers stay as they are.
"""

import csv
import io
from collections.abc import Iterable, Sequence

import pandas as pd

from tfrecords_tools.foundation.files import AnyPath, read_bytes, write_atomically


def write_table(path: AnyPath, table: pd.DataFrame) -> None:
    """Writes a table atomically as CSV, without its index."""
    write_atomically(path, as_csv(table))


def as_csv(table: pd.DataFrame) -> str:
    """Returns a table as `write_table` writes it."""
    texts = table.select_dtypes(include=["object", "string"]).columns
    guarded = {name: table[name].map(_guard, na_action="ignore") for name in texts}
    return table.assign(**guarded).to_csv(index=False)


def rows_as_csv(rows: Iterable[Sequence[str]]) -> str:
    """Returns rows of texts as CSV, a header among them; texts that are numbers stay numbers."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([text if _is_number(text) else _guard(text) for text in row] for row in rows)
    return buffer.getvalue()


def read_table(path: AnyPath, texts: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """Reads a table that `write_table` wrote.

    Arguments:
      path: of the file.
      texts: the columns of text, of which none is taken for a number or a missing value, such as NA.
      optional: further columns of text, which may be missing.

    Raises:
      ValueError: if it is no CSV table with these columns.
    """
    table = pd.read_csv(
        io.BytesIO(read_bytes(path)),
        dtype=dict.fromkeys([*texts, *optional], str),
        keep_default_na=False,
        na_values=[""],
    )
    missing = [name for name in texts if name not in table]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}")
    given = [*texts, *(name for name in optional if name in table)]
    return table.assign(**{name: table[name].str.replace(r"^'('*[=+\-@])", r"\1", regex=True) for name in given})


def _guard(value: object) -> object:
    is_formula = isinstance(value, str) and value.lstrip("'").startswith(("=", "+", "-", "@"))
    return f"'{value}" if is_formula else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
