"""Several data sets as one: rows follow each other, each with the code of the data set it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.sources.table import COLUMNS, SHARD, SourceTable, UnknownValue


@dataclass(frozen=True, kw_only=True)
class MergedTable:
    """Data sets with the same classes, as in `SourceTable`; column `source` is the index into `names` and `roots`."""

    names: tuple[str, ...]
    roots: tuple[AnyPath, ...]
    classes: tuple[str, ...]
    train: pd.DataFrame
    test: pd.DataFrame | None
    sample_submission: AnyPath | None
    not_understood: tuple[UnknownValue, ...] = ()
    masks: AnyPath | None = None
    sizes: tuple[tuple[int, int], ...] = ()


def merge_sources(names: Sequence[str], tables: Sequence[SourceTable]) -> MergedTable:
    """Returns data sets as one; a name that repeats gets a number.

    Raises:
      DataError: if one has no training images, their classes differ, or more than one has a test split.
    """
    for name, table in zip(names, tables, strict=True):
        if table.classes != tables[0].classes:
            raise DataError(
                f"--source={name}: its classes are {', '.join(table.classes)}, the classes of {names[0]} are "
                f"{', '.join(tables[0].classes)}; only data sets with the same classes can be merged"
            )
        if table.train.empty:
            raise DataError(f"{table.root}: --source={name} has no training images; complete its tables")
    with_test = [code for code, table in enumerate(tables) if table.test is not None]
    if len(with_test) > 1:
        folders = ", ".join(str(tables[code].root) for code in with_test)
        raise DataError(f"{folders}: each has a test split; remove test.csv from all but one")
    masks = [table.masks for table in tables if table.masks is not None]
    columns = [*COLUMNS, *([SHARD] if len(tables) == 1 and SHARD in tables[0].train else [])]
    train = pd.concat([table.train.astype({"target": int}).assign(source=code) for code, table in enumerate(tables)])
    test = tables[with_test[0]].test.assign(source=with_test[0]) if with_test else None
    samples = [table.sample_submission for table in tables if table.sample_submission is not None]
    return MergedTable(
        names=_numbered(names),
        roots=tuple(table.root for table in tables),
        classes=tables[0].classes,
        train=train[[*columns, "target", "source"]].reset_index(drop=True),
        test=test,
        sample_submission=samples[0] if samples else None,
        not_understood=tuple(value for table in tables for value in table.not_understood),
        masks=masks[0] if len(masks) == 1 else None,
        sizes=tables[0].sizes if len(tables) == 1 else (),
    )


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    earlier = [list(names[:position]).count(name) for position, name in enumerate(names)]
    return tuple(name if not count else f"{name}_{count + 1}" for name, count in zip(names, earlier, strict=True))
