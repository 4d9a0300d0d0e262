"""Merging: rows of several data sets follow each other, each with the code of where it comes from."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import ListedFile
from tfrecords_tools.sources.merging import merge_sources
from tfrecords_tools.sources.table import COLUMNS, SourceTable, image_table

CLASSES = ("benign", "malignant")


def source(root: str, names: list[str], *, classes: tuple[str, ...] = CLASSES, test: bool = False) -> SourceTable:
    files = [ListedFile(f"{name}.jpg", 10 + number, 7) for number, name in enumerate(names)]
    rows = image_table(files, names, [number % 2 for number in range(len(names))])
    return SourceTable(
        root=Path(root),
        classes=classes,
        train=rows.assign(patient_id=[f"{root}{number}" for number in range(len(names))]) if test else rows,
        test=rows[list(COLUMNS)] if test else None,
        sample_submission=Path(root) / "sample_submission.csv" if test else None,
    )


def test_one_data_set_stays_what_it_is():
    alone = source("a", ["x", "y", "z"])
    merged = merge_sources(["cells"], [alone])
    assert (merged.names, merged.roots, merged.classes) == (("cells",), (Path("a"),), CLASSES)
    pd.testing.assert_frame_equal(merged.train.drop(columns="source"), alone.train)
    assert merged.train["source"].tolist() == [0, 0, 0]
    assert (merged.test, merged.sample_submission) == (None, None)


@pytest.mark.filterwarnings("error")
def test_rows_follow_each_other_with_the_code_of_their_data_set():
    merged = merge_sources(["new", "old"], [source("a", ["x", "y"], test=True), source("b", ["u", "v", "w"])])
    assert merged.train["image_name"].tolist() == ["x", "y", "u", "v", "w"]
    assert merged.train["source"].tolist() == [0, 0, 1, 1, 1]
    assert merged.train["target"].tolist() == [0, 1, 0, 1, 0]
    assert merged.train["size"].tolist() == [10, 11, 10, 11, 12]
    assert merged.train["patient_id"].isna().tolist() == [False, False, True, True, True]
    assert merged.train.index.tolist() == [0, 1, 2, 3, 4]
    assert tuple(merged.train.columns) == (*COLUMNS, "target", "source")
    assert merged.roots == (Path("a"), Path("b"))


@pytest.mark.parametrize("position", [0, 1])
def test_the_one_test_split_is_kept_with_its_code_and_sample_submission(position):
    tables = [source("a", ["x"], test=position == 0), source("b", ["u"], test=position == 1)]
    merged = merge_sources(["new", "old"], tables)
    assert merged.test["image_name"].tolist() == [["x"], ["u"]][position]
    assert merged.test["source"].tolist() == [position]
    assert merged.sample_submission == tables[position].sample_submission


def test_names_that_repeat_are_numbered():
    tables = [source(str(number), [str(number)]) for number in range(4)]
    merged = merge_sources(["isic_archive", "cells", "isic_archive", "isic_archive"], tables)
    assert merged.names == ("isic_archive", "cells", "isic_archive_2", "isic_archive_3")


def test_other_classes_are_refused_and_both_sets_named():
    tables = [source("a", ["x"]), source("b", ["u"], classes=("nevus", "melanoma"))]
    with pytest.raises(DataError, match="--source=old: .*nevus, melanoma, .* new .*benign, malignant"):
        merge_sources(["new", "old"], tables)


def test_the_masks_of_the_one_source_that_brings_any_are_kept():
    one, other = source("one", ["a"]), replace(source("other", ["b"]), masks=Path("masks"))
    assert merge_sources(("x", "y"), (one, other)).masks == Path("masks")
    assert merge_sources(("x", "y"), (replace(one, masks=Path("more")), other)).masks is None
    assert merge_sources(("x",), (one,)).masks is None


def test_two_test_splits_are_refused_and_both_folders_named():
    tables = [source(name, [name], test=name != "b") for name in ("a", "b", "c")]
    with pytest.raises(DataError, match=r"a, c: .*test\.csv"):
        merge_sources(["siim_isic"] * 3, tables)


def test_a_data_set_without_rows_is_refused_by_its_name_and_folder():
    with pytest.raises(DataError, match="^b: --source=old .*no training images"):
        merge_sources(["new", "old"], [source("a", ["x"]), source("b", [])])
