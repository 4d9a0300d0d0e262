"""The table of `--examples`: which images a classifier learns from, how often, and what they count for."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from tfrecords_tools.csv_tables import read_table
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path
from tfrecords_tools.foundation.texts import first_names

NAME, COUNT, CLASS = "image_name", "count", "class"
_MOST_NAMES = 3
_FIELD = "examples"


def read_examples(path: str, classes: Sequence[str]) -> pd.DataFrame:
    """Reads the table.

    Arguments:
      path: of a CSV file with the column `image_name` and, if wanted, `count` (1 by default) and `class` (where it is
        empty, that of the record).
      classes: of the classifier.

    Returns:
      A row for each image that counts, indexed by its name, of `count` and `label`, -1 where no class is given.

    Raises:
      CommandError: if it is no such table.
    """
    place = f"--{_FIELD}={path}"
    try:
        table = read_table(as_path(path), [NAME], optional=[CLASS])
    except (ValueError, pd.errors.ParserError) as error:
        raise CommandError(f"{place}: no table of {NAME}, {COUNT} and {CLASS} ({error})") from error
    table = table.assign(**{COUNT: table.get(COUNT, 1), CLASS: table.get(CLASS, np.nan)}).set_index(NAME)
    _require_none(place, "named twice", table.index[table.index.duplicated()], "name each image once, with its count")
    counts = pd.to_numeric(table[COUNT], errors="coerce")
    is_wrong = ~(counts >= 0) | (counts % 1 != 0)
    _require_none(place, f"with a {COUNT} that is no whole number", table.index[is_wrong], "give 0, 1, 2, ...")
    is_unknown = table[CLASS].notna() & ~table[CLASS].isin(classes)
    _require_none(place, f"with an unknown {CLASS}", table.index[is_unknown], f"give one of {', '.join(classes)}")
    numbers = {name: number for number, name in enumerate(classes)}
    labels = table[CLASS].map(numbers).fillna(-1)
    found = pd.DataFrame({COUNT: counts.astype(int), "label": labels.astype(int)})
    return found[found[COUNT] > 0]


def require_known(path: str, examples: pd.DataFrame, real: Collection[str], synthetic: Collection[str]) -> None:
    """Does nothing if all images of a table are real or synthetic ones, the latter of the class that they are of.

    Arguments:
      path: of the table.
      examples: of `read_examples`.
      real, synthetic: names of the images that may be learned from.

    Raises:
      CommandError: naming those that are not.
    """
    place = f"--{_FIELD}={path}"
    unknown = examples.index[~examples.index.isin([*real, *synthetic])]
    _require_none(place, "not among the training images", unknown, "take them out, or give the shards they are of")
    relabelled = examples.index[examples.index.isin(list(synthetic)) & (examples["label"] >= 0)]
    _require_none(place, f"synthetic, with a {CLASS}", relabelled, "leave it empty; they are of the class asked for")


def _require_none(place: str, fault: str, names: pd.Index, remedy: str) -> None:
    if len(names):
        shown = first_names(sorted(map(str, set(names))), _MOST_NAMES)
        raise CommandError(f"{place}: {len(set(names))} images are {fault} ({shown}); {remedy}")
