"""Duplicates in a table: what each policy finds in drawn images, keeps and reports."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.tfrecords_tools.made_up_tables import drawn_lesion
from tests.tfrecords_tools.tiny_shards import encoded
from tfrecords_tools.duplicate_rows import Duplicates, find_duplicate_rows
from tfrecords_tools.engines import EngineOptions
from tfrecords_tools.engines.local import run_local
from tfrecords_tools.foundation.documents import as_plain
from tfrecords_tools.foundation.files import (
    MISSING_SIZE,
    AnyPath,
    ListedFile,
    as_path,
    crc32c,
    list_files,
    write_atomically,
)
from tfrecords_tools.hashing import MAX_BITS
from tfrecords_tools.scanning import ScanJob, ScanResult
from tfrecords_tools.sources.merging import MergedTable, merge_sources
from tfrecords_tools.sources.table import SourceTable, image_table

JPEG = [encoded(drawn_lesion(number), quality=92) for number in range(5)]
HALF = encoded(np.asarray(Image.fromarray(drawn_lesion(0)).resize((64, 64), Image.Resampling.BICUBIC)), quality=85)
# Of the lesion 0 there are five images: itself, a copy, another encoding, half the size, and one in the other set.
NEW = {
    "a.jpg": JPEG[0],
    "b.jpg": JPEG[1],
    "c.png": encoded(drawn_lesion(0), "PNG"),
    "d.jpg": JPEG[2],
    "e.jpg": JPEG[0],
    "f.jpg": b"no picture",
}
OLD = {"u.jpg": JPEG[3], "v.jpg": HALF, "w.jpg": JPEG[2], "x.jpg": JPEG[0], "y.jpg": JPEG[4]}
MALIGNANT = {"a.jpg", "e.jpg", "c.png", "x.jpg", "u.jpg"}


def data_set(root: AnyPath, images: dict[str, bytes]) -> SourceTable:
    for name, data in images.items():
        write_atomically(root / name, data)
    files = list_files(root)
    table = image_table(files, [file.name for file in files], [int(file.name in MALIGNANT) for file in files])
    return SourceTable(root=root, classes=("benign", "malignant"), train=table)


def run_here(jobs, work) -> list[ScanResult]:
    return [work(job) for job in reversed(jobs)]


@pytest.fixture(params=["here", "bucket"])
def table(request, tmp_path) -> MergedTable:
    folder = as_path(str(tmp_path) if request.param == "here" else request.getfixturevalue("bucket"))
    return merge_sources(["new", "old"], [data_set(folder / "new", NEW), data_set(folder / "old", OLD)])


@pytest.fixture
def local_table(tmp_path) -> MergedTable:
    return merge_sources(["new", "old"], [data_set(tmp_path / "new", NEW), data_set(tmp_path / "old", OLD)])


def groups(found: Duplicates) -> set[frozenset[str]]:
    return {frozenset(group) for _, group in found.table.groupby("group")["image_name"]}


def test_together_finds_copies_and_other_sizes_and_encodings_over_all_data_sets(table, tmp_path):
    found = find_duplicate_rows(table, tmp_path / "out", "together", run_here)
    assert found.train["image_name"].tolist() == [*NEW, *OLD]
    assert found.codes.tolist() == [0, 1, 0, 2, 0, 3, 4, 0, 2, 0, 5]
    assert groups(found) == {frozenset(["a.jpg", "c.png", "e.jpg", "v.jpg", "x.jpg"]), frozenset(["d.jpg", "w.jpg"])}
    assert set(found.table["action"]) == {"kept"}
    bits = found.table.set_index("image_name")["bits"]
    assert bits[["a.jpg", "e.jpg", "x.jpg", "d.jpg", "w.jpg"]].tolist() == [0] * 5  # the first, and copies
    assert 0 < bits["v.jpg"] <= MAX_BITS
    assert found.train["crc32c"].tolist() == [crc32c(data) for data in [*NEW.values(), *OLD.values()]]
    # v.jpg, of the lesion that four others call malignant, is benign in its table.
    assert as_plain(found.counts()) == {
        "groups": 2,
        "images": 7,
        "dropped": 0,
        "groups_of_several_classes": 1,
        "groups_of_both_splits": 0,
    }


def test_bytes_finds_equal_files_alone_and_reads_only_those_of_equal_size(local_table, tmp_path):
    found = find_duplicate_rows(local_table, tmp_path / "out", "bytes", run_here)
    assert groups(found) == {frozenset(["a.jpg", "e.jpg", "x.jpg"]), frozenset(["d.jpg", "w.jpg"])}
    assert as_plain(found.counts()) == {
        "groups": 2,
        "images": 5,
        "dropped": 0,
        "groups_of_several_classes": 0,
        "groups_of_both_splits": 0,
    }
    by_size = local_table.train["size"].value_counts()
    read = {name for name, checksum in found.train.set_index("image_name")["crc32c"].items() if checksum is not None}
    assert read == {
        name for name, size in local_table.train[["image_name", "size"]].itertuples(index=False) if by_size[size] > 1
    }
    assert len(read) < len(local_table.train)


def test_files_of_equal_size_are_not_equal_files(tmp_path):
    images = {"a.jpg": b"12345678", "b.jpg": b"12345679", "c.jpg": b"12345678"}
    table = merge_sources(["new"], [data_set(tmp_path / "new", images)])
    found = find_duplicate_rows(table, tmp_path / "out", "bytes", run_here)
    assert found.codes.tolist() == [0, 1, 0]


def test_drop_keeps_the_first_of_each_group_and_reports_the_others(local_table, tmp_path):
    found = find_duplicate_rows(local_table, tmp_path / "out", "drop", run_here)
    assert found.train["image_name"].tolist() == ["a.jpg", "b.jpg", "d.jpg", "f.jpg", "u.jpg", "y.jpg"]
    assert found.train["source"].tolist() == [0, 0, 0, 0, 1, 1]
    assert found.train.index.tolist() == list(range(6))
    assert len(set(found.codes)) == len(found.codes) == 6
    actions = {row.image_name: (row.source, row.target, row.action) for row in found.table.itertuples()}
    assert actions == {
        "a.jpg": (0, 1, "kept"),
        "c.png": (0, 1, "dropped"),
        "e.jpg": (0, 1, "dropped"),
        "v.jpg": (1, 0, "dropped"),
        "x.jpg": (1, 1, "dropped"),
        "d.jpg": (0, 0, "kept"),
        "w.jpg": (1, 0, "dropped"),
    }
    assert as_plain(found.counts()) == {
        "groups": 2,
        "images": 7,
        "dropped": 5,
        "groups_of_several_classes": 1,
        "groups_of_both_splits": 0,
    }


@pytest.mark.parametrize("policy", ["together", "drop", "bytes"])
def test_images_that_are_there_once_are_no_group(tmp_path, policy):
    table = merge_sources(["new"], [data_set(tmp_path / "new", {"a.jpg": JPEG[0], "b.jpg": JPEG[1]})])
    found = find_duplicate_rows(table, tmp_path / "out", policy, run_here)
    assert found.codes.tolist() == [0, 1]
    assert as_plain(found.counts()) == {
        "groups": 0,
        "images": 0,
        "dropped": 0,
        "groups_of_several_classes": 0,
        "groups_of_both_splits": 0,
    }
    assert found.table.columns.tolist() == [
        "group",
        "image_name",
        "split",
        "source",
        "target",
        "file",
        "bits",
        "action",
    ]


@pytest.mark.parametrize("policy", ["together", "drop", "bytes"])
def test_images_that_cannot_be_read_are_in_no_group(tmp_path, policy):
    source = data_set(tmp_path / "new", {"a.jpg": JPEG[0], "b.jpg": JPEG[0]})
    missing = image_table(
        [ListedFile("x.jpg", MISSING_SIZE, 0), ListedFile("y.jpg", MISSING_SIZE, 0)], ["x", "y"], [0, 0]
    )
    train = pd.concat([source.train, missing], ignore_index=True)
    table = merge_sources(["new"], [SourceTable(root=source.root, classes=source.classes, train=train)])
    found = find_duplicate_rows(table, tmp_path / "out", policy, run_here)
    assert groups(found) == {frozenset(["a.jpg", "b.jpg"])}
    assert found.train["crc32c"].tolist()[-2:] == [None, None]


def test_processes_find_what_one_finds_and_a_second_run_uses_it(local_table, tmp_path):
    here = find_duplicate_rows(local_table, tmp_path / "here", "together", run_here)

    def run_in_processes(jobs: list[ScanJob], work) -> list[ScanResult]:
        return list(run_local(jobs, work, EngineOptions(workers=2)))

    find = partial(find_duplicate_rows, local_table, tmp_path / "there", "together")
    there = find(run_in_processes)
    for file in (tmp_path / "new").iterdir():
        file.unlink()
    for found in (there, find(run_here)):
        pd.testing.assert_frame_equal(found.table, here.table)
        np.testing.assert_array_equal(found.codes, here.codes)
        pd.testing.assert_frame_equal(found.train, here.train)


@pytest.mark.parametrize("policy", ["together", "drop"])
def test_an_image_that_is_also_in_the_test_split_is_kept_and_reported(tmp_path, policy):
    for name, data in {"test/t.jpg": HALF, "test/u.jpg": JPEG[4]}.items():
        write_atomically(tmp_path / "new" / name, data)
    source = data_set(tmp_path / "new", {"a.jpg": JPEG[0], "b.jpg": JPEG[1]})
    files = list_files(tmp_path / "new" / "test")
    test = image_table([replace(file, name=f"test/{file.name}") for file in files], ["t", "u"], [0, 0])
    table = merge_sources(["new"], [replace(source, test=test.drop(columns="target"))])
    found = find_duplicate_rows(table, tmp_path / "out", policy, run_here)
    assert found.train["image_name"].tolist() == ["a.jpg", "b.jpg"]
    assert found.test["image_name"].tolist() == ["t", "u"]
    assert "target" not in found.test
    assert found.test["crc32c"].tolist() == [crc32c(HALF), crc32c(JPEG[4])]
    listed = found.table[["image_name", "split", "action"]].to_numpy().tolist()
    assert listed == [["a.jpg", "train", "kept"], ["t", "test", "kept"]]
    assert found.counts().groups_of_both_splits == 1
