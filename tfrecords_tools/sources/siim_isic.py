"""SIIM-ISIC 2020 as Kaggle ships it: train.csv, test.csv, sample_submission.csv, jpeg/train, jpeg/test.

https://www.kaggle.com/competitions/siim-isic-melanoma-classification/data
"""

from pathlib import Path

import pandas as pd

from tfrecords_tools.errors import DataError
from tfrecords_tools.sources.table import COLUMNS, METADATA_COLUMNS, SourceOptions, SourceTable, require_folder

CLASSES = ("benign", "malignant")
_TEST_COLUMNS = ("image_name", *(column for column in METADATA_COLUMNS if column != "diagnosis"))
_TRAIN_COLUMNS = (*_TEST_COLUMNS, "target")


def load(folder: Path, options: SourceOptions) -> SourceTable:
    """Reads the tables; images are looked up later, one by one, when their shard is written.

    Raises:
      DataError: for a missing folder, file or column, a repeated image name, or a target other than 0 and 1.
    """
    del options
    require_folder(folder, "--input must hold train.csv and jpeg/train as in the Kaggle download")
    train = _read_csv(folder / "train.csv", _TRAIN_COLUMNS)
    targets = pd.to_numeric(train["target"], errors="coerce")
    wrong = train[~targets.isin([0, 1])]
    if len(wrong):
        row = wrong.iloc[0]
        raise DataError(f"{folder / 'train.csv'}: target of {row['image_name']} is {row['target']}; it must be 0 or 1")
    train["target"] = targets.astype(int)
    train["diagnosis"] = train.get("diagnosis")
    train["file"] = _files(train, folder / "jpeg" / "train")
    test = None
    if (folder / "test.csv").is_file():
        test = _read_csv(folder / "test.csv", _TEST_COLUMNS)
        test["file"] = _files(test, folder / "jpeg" / "test")
        test["diagnosis"] = None
        test = test[list(COLUMNS)]
    sample_submission = folder / "sample_submission.csv"
    return SourceTable(
        root=folder,
        classes=CLASSES,
        train=train[[*COLUMNS, "target"]],
        test=test,
        sample_submission=sample_submission if sample_submission.is_file() else None,
    )


def _read_csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"{path}: no such file; --input must be laid out as the Kaggle download")
    try:
        table = pd.read_csv(path, dtype={"image_name": str, "patient_id": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV table ({error})") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    table["age_approx"] = pd.to_numeric(table["age_approx"], errors="coerce")  # some tables say "unknown"
    repeated = table["image_name"][table["image_name"].duplicated()]
    if len(repeated):
        raise DataError(f"{path}: image_name {repeated.iloc[0]} stands in more than one row; keep one of them")
    return table


def _files(table: pd.DataFrame, folder: Path) -> list[Path]:
    require_folder(folder, "--input must be laid out as the Kaggle download")
    return [folder / f"{name}.jpg" for name in table["image_name"]]
