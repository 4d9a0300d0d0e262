"""SIIM-ISIC 2020 as Kaggle ships it: train.csv, test.csv, sample_submission.csv, jpeg/train, jpeg/test.

https://www.kaggle.com/competitions/siim-isic-melanoma-classification/data
"""

import pandas as pd

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, is_file
from tfrecords_tools.foundation.metadata import TEST_METADATA
from tfrecords_tools.sources.nested import holds, inner_file, inner_folder, unpacked
from tfrecords_tools.sources.table import COLUMNS, SourceOptions, SourceTable, require_folder
from tfrecords_tools.sources.tables_of_names import named_files, read_csv

CLASSES = ("benign", "malignant")
_TEST_COLUMNS = ("image_name", *TEST_METADATA)
_TRAIN_COLUMNS = (*_TEST_COLUMNS, "target")


def load(folder: AnyPath, options: SourceOptions) -> SourceTable:
    """Reads the tables; images are opened later, one by one, when their shard is written.

    Raises:
      DataError: for a missing folder, file or column, a repeated image name, or a target other than 0 and 1.
    """
    del options
    remedy = "--input must hold train.csv and jpeg/train as in the Kaggle download"
    require_folder(folder, remedy)
    folder = unpacked(folder, holds("*.csv", "jpeg"))
    train_table, test_table = (inner_file(folder, name) for name in ("train.csv", "test.csv"))
    require_folder(folder / inner_folder(folder, "jpeg/train"), remedy)
    train, not_understood = read_csv(train_table, _TRAIN_COLUMNS, "image_name")
    targets = pd.to_numeric(train["target"], errors="coerce")
    wrong = train[~targets.isin([0, 1])]
    if len(wrong):
        row = wrong.iloc[0]
        raise DataError(f"{train_table}: target of {row['image_name']} is {row['target']}; it must be 0 or 1")
    train["target"] = targets.astype(int)
    test = None
    if is_file(test_table):
        require_folder(folder / inner_folder(folder, "jpeg/test"), remedy)
        test, of_test = read_csv(test_table, _TEST_COLUMNS, "image_name")
        not_understood += of_test
        test = _with_files(test, folder, "jpeg/test")
        test = test.assign(diagnosis=None)[list(COLUMNS)]
    sample_submission = inner_file(folder, "sample_submission.csv")
    if is_file(sample_submission):
        read_csv(sample_submission, ("image_name",), "image_name")  # refused now, not when all shards are written
    return SourceTable(
        root=folder,
        classes=CLASSES,
        train=_with_files(train, folder, "jpeg/train")[[*COLUMNS, "target"]],
        test=test,
        sample_submission=sample_submission if is_file(sample_submission) else None,
        not_understood=not_understood,
    )


def _with_files(table: pd.DataFrame, folder: AnyPath, inner: str) -> pd.DataFrame:
    """Adds the files, and the columns that some versions of the tables lack."""
    known = {"lesion_id": table.get("lesion_id"), "diagnosis": table.get("diagnosis")}
    return table.assign(**known, **named_files(folder, inner_folder(folder, inner), table["image_name"]))
