"""Planning: who belongs together stays together, equal inputs give equal plans, and a changed input is named."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.tfrecords_tools.made_up_tables import CLASSES, made_up_table
from tests.tfrecords_tools.tiny_shards import SIZE, encoded, plain
from tfrecords_tools.folds import FOLDS_VERSION, group_rows
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, as_path, crc32c, list_files, write_atomically
from tfrecords_tools.foundation.metadata import CATEGORIES
from tfrecords_tools.images import Encoding
from tfrecords_tools.planning import Plan, plan_shards, write_plan
from tfrecords_tools.rows import MaskFile, read_rows
from tfrecords_tools.shards import ShardJob, rows_path, write_shard
from tfrecords_tools.sources.merging import MergedTable
from tfrecords_tools.sources.table import image_table

TWO_ROOTS = (Path("new"), Path("old"))


def alone(table: MergedTable) -> np.ndarray:
    return np.arange(len(table.train))


def planned(table: MergedTable, num_shards: int = 5, seed: int = 0, codes: np.ndarray | None = None) -> Plan:
    return plan_shards(table, alone(table) if codes is None else codes, num_shards=num_shards, seed=seed)


def positions(plan: Plan, split: str) -> list[list[int]]:
    return [shard.positions.tolist() for shard in plan.shards if shard.split == split]


def all_rows(plan: Plan, split: str = "train") -> list:
    return [row for shard in plan.shards if shard.split == split for row in plan.rows(shard)]


def test_every_row_is_in_one_shard_and_what_belongs_together_in_the_same():
    table = made_up_table(600, 80, roots=TWO_ROOTS)
    codes = np.random.default_rng(1).integers(500, size=600)
    plan = planned(table, codes=codes)
    assert sorted(sum(positions(plan, "train"), [])) == list(range(600))
    shard_of_row = np.empty(600, int)
    for index, rows in enumerate(positions(plan, "train")):
        shard_of_row[rows] = index
    np.testing.assert_array_equal(plan.shard_of_row, shard_of_row)
    for key in (table.train["patient_id"], table.train["lesion_id"], pd.Series(codes)):
        shards_of_key = pd.Series(shard_of_row)[key.notna()].groupby(key[key.notna()]).nunique()
        assert len(shards_of_key) > 50
        assert (shards_of_key == 1).all()
    np.testing.assert_array_equal(plan.groups, group_rows([table.train["patient_id"], table.train["lesion_id"], codes]))


def test_a_plan_is_a_function_of_the_table_and_the_seed():
    first, again, other = (planned(made_up_table(300, 60), seed=seed) for seed in (3, 3, 4))
    assert positions(first, "train") == positions(again, "train") != positions(other, "train")
    script = (
        "from tests.tfrecords_tools.made_up_tables import *; from tfrecords_tools.planning import *; "
        "import numpy as np; "
        "plan = plan_shards(made_up_table(300, 60), np.arange(300), num_shards=5, seed=3); "
        "print([shard.positions.tolist() for shard in plan.shards])"
    )
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
        printed = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True
        ).stdout
        assert json.loads(printed) == positions(first, "train")


def test_training_rows_are_mixed_and_test_rows_keep_their_order():
    plan = planned(made_up_table(300, 60, num_test=23))
    assert all(rows != sorted(rows) for rows in positions(plan, "train"))
    parts = positions(plan, "test")
    assert [len(part) for part in parts] == [5, 5, 5, 4, 4]
    assert sum(parts, []) == list(range(23))


def test_fewer_test_rows_than_shards_make_fewer_shards():
    assert positions(planned(made_up_table(300, 60, num_test=2)), "test") == [[0], [1]]


def test_metadata_become_the_codes_of_the_public_shards():
    table = made_up_table(400, 60, num_test=40, roots=TWO_ROOTS)
    plan = planned(table)
    known = list(dict.fromkeys(pd.concat([table.train["patient_id"], table.test["patient_id"]]).dropna()))
    for split, part in (("train", table.train), ("test", table.test)):
        by_name = part.set_index("image_name")
        rows = all_rows(plan, split)
        assert len(rows) == len(part)
        for row in rows:
            given = by_name.loc[row.fields["image_name"]]
            assert (row.file, row.size, row.version, row.source) == tuple(given[["file", "size", "version", "source"]])
            assert row.crc32c is None
            patient, age = given["patient_id"], given["age_approx"]
            expected = {
                "image_name": row.fields["image_name"],
                "patient_id": -1 if pd.isna(patient) else known.index(patient),
                "age_approx": -1 if np.isnan(age) else int(age),
                "target": given["target"] if split == "train" else -1,
            }
            for column, category in CATEGORIES.items():
                expected[column] = category.encode(None if pd.isna(given[column]) else given[column])
            assert row.fields == expected
            json.dumps(row.fields)


def test_a_checksum_that_is_known_of_some_files_stays_with_them():
    table = made_up_table(60, 30)
    checksums = pd.Series([None, "e3069283"] * 30, dtype=object)
    by_name = dict(zip(table.train["image_name"], checksums, strict=True))
    rows = all_rows(planned(replace(table, train=table.train.assign(crc32c=checksums))))
    assert [row.crc32c for row in rows] == [by_name[row.fields["image_name"]] for row in rows]


def test_two_images_of_one_name_are_refused():
    table = made_up_table(60, 30)
    table.train.loc[7, "image_name"] = table.train.loc[3, "image_name"]
    with pytest.raises(DataError, match="ISIC_train_0000003"):
        planned(table)


def fingerprints(folder: Path, table: MergedTable, **settings) -> object:
    return write_plan(folder, planned(table, **settings), table.roots)


def test_the_fingerprint_of_the_rows_knows_neither_their_shards_nor_their_place_nor_their_age(tmp_path):
    table = made_up_table(300, 60, num_test=20)
    first = fingerprints(tmp_path / "first", table)
    assert first == fingerprints(tmp_path / "again", table)
    for name, settings in (("seed", {"seed": 1}), ("shards", {"num_shards": 6})):
        other = fingerprints(tmp_path / name, table, **settings)
        assert other.rows == first.rows
        assert other.folds != first.folds
    touched = table.train.assign(version=table.train["version"] + 1, crc32c="e3069283")
    assert fingerprints(tmp_path / "touched", replace(table, train=touched)) == first
    assert fingerprints(tmp_path / "moved", replace(table, roots=(Path("/elsewhere"),))) == first


def test_the_fingerprint_of_the_rows_does_not_depend_on_their_order_where_there_are_no_patients(tmp_path):
    table = made_up_table(300, 60)
    table = replace(table, train=table.train.assign(patient_id=None))
    first = fingerprints(tmp_path / "first", table)
    shuffled = table.train.sample(frac=1, random_state=1).reset_index(drop=True)
    other = fingerprints(tmp_path / "shuffled", replace(table, train=shuffled))
    assert other.rows == first.rows
    assert other.folds != first.folds


@pytest.mark.parametrize(
    "change", [{"size": 1}, {"file": "jpeg/other.jpg"}, {"target": 1}, {"sex": "female"}, {"image_name": "other"}]
)
def test_the_fingerprints_change_with_a_row(tmp_path, change):
    table = made_up_table(100, 40)
    table.train.loc[5, ["target", "sex"]] = [0, "male"]
    first = fingerprints(tmp_path / "first", table)
    for column, value in change.items():
        table.train.loc[5, column] = value
    other = fingerprints(tmp_path / "other", table)
    assert other.rows != first.rows
    assert other.folds != first.folds


@pytest.fixture
def begun(request, tmp_path):
    """A plan of ten drawn images that was written: (output, root of the images, what the table is now)."""
    here = getattr(request, "param", "here") == "here"
    folder = tmp_path if here else as_path(request.getfixturevalue("bucket"))
    root, output = folder / "images", folder / "output"
    for number in range(10):
        write_atomically(root / f"{number}.png", encoded(plain(20 * number), "PNG"))

    def read(*, scanned: bool = False) -> MergedTable:
        files = list_files(root)
        train = image_table(files, [file.name for file in files], [number % 2 for number in range(len(files))])
        checksums = [crc32c((root / file.name).read_bytes()) if scanned else None for file in files]
        train = train.assign(source=0, crc32c=pd.Series(checksums, dtype=object))
        return MergedTable(names=("a",), roots=(root,), classes=CLASSES, train=train, test=None, sample_submission=None)

    return output, root, read


def plan_again(output: AnyPath, table: MergedTable) -> object:
    return write_plan(output, planned(table, num_shards=2), table.roots)


def finish_shards(output: AnyPath, table: MergedTable) -> None:
    for index in range(2):
        roots = tuple(map(str, table.roots))
        encoding = Encoding(image_size=SIZE)
        write_shard(
            ShardJob(folder=str(output), split="train", index=index, num_classes=2, roots=roots, encoding=encoding)
        )


HERE_AND_IN_A_BUCKET = pytest.mark.parametrize("begun", ["here", "bucket"], indirect=True)


@HERE_AND_IN_A_BUCKET
def test_the_rows_of_every_shard_are_written(begun):
    output, _, read = begun
    plan = planned(read(), num_shards=2)
    write_plan(output, plan, read().roots)
    for shard in plan.shards:
        assert list(read_rows(rows_path(output, shard.split, shard.index))) == list(plan.rows(shard))


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("scanned", [False, True])
def test_a_plan_may_be_written_again_and_its_files_touched(begun, scanned, finished):
    output, root, read = begun
    first = plan_again(output, read(scanned=scanned))
    if finished:
        finish_shards(output, read())
    assert plan_again(output, read(scanned=scanned)) == first
    before = read().train["version"]
    write_atomically(root / "3.png", encoded(plain(60), "PNG"))
    assert (read().train["version"] != before).sum() == 1
    assert plan_again(output, read(scanned=scanned)) == first


@HERE_AND_IN_A_BUCKET
@pytest.mark.parametrize("version", [None, "1\n", "999\n"])
def test_a_plan_by_the_rules_of_another_version_is_not_continued(begun, version):
    output, _, read = begun
    plan_again(output, read())
    path = output / "parts" / "folds_version"
    assert path.read_text() == f"{FOLDS_VERSION}\n"
    if version is None:
        path.unlink()  # as the first version left it
    else:
        write_atomically(path, version)
    with pytest.raises(DataError, match=rf"{output}.*version {int(version or 1)}, now {FOLDS_VERSION}.*another folder"):
        plan_again(output, read())


@pytest.mark.parametrize("finished", [False, True])
def test_an_image_of_another_size_is_named(begun, finished):
    output, root, read = begun
    plan_again(output, read())
    if finished:
        finish_shards(output, read())
    old = len(encoded(plain(60), "PNG"))
    write_atomically(root / "3.png", b"other")
    with pytest.raises(DataError, match=rf"{root}/3\.png: .*{old} bytes.* 5"):
        plan_again(output, read())


@HERE_AND_IN_A_BUCKET
@pytest.mark.parametrize("known_from", ["scan", "part"])
def test_an_image_of_equal_size_and_other_bytes_is_named_where_its_checksum_is_known(begun, known_from):
    output, root, read = begun
    plan_again(output, read(scanned=known_from == "scan"))
    if known_from == "part":
        finish_shards(output, read())
    old, other = encoded(plain(60), "PNG"), encoded(plain(61), "PNG")
    assert len(old) == len(other)
    write_atomically(root / "3.png", other)
    with pytest.raises(DataError, match=rf"{root}/3\.png: "):
        plan_again(output, read(scanned=known_from == "scan"))


def plan_with_boxes(output: AnyPath, table: MergedTable, boxes: dict) -> object:
    return write_plan(output, replace(planned(table, num_shards=2), boxes=boxes), table.roots)


BOXES = {"3.png": [[1, 2, 3, 4]], "5.png": [[0, 0, 1.5, 1]]}


def test_the_boxes_are_with_the_rows_and_the_fingerprints_do_not_know_them(begun):
    output, _, read = begun
    assert plan_with_boxes(output, read(), BOXES) == plan_again(output, read())
    plan_with_boxes(output, read(), BOXES)
    rows = [row for index in range(2) for row in read_rows(rows_path(output, "train", index))]
    assert {row.file: row.boxes for row in rows if row.boxes} == BOXES


def test_boxes_may_be_corrected_until_their_shard_is_finished(begun):
    output, _, read = begun
    plan_with_boxes(output, read(), BOXES)
    plan_with_boxes(output, read(), {**BOXES, "3.png": [[1, 2, 3, 5]]})
    finish_shards(output, read())
    assert plan_with_boxes(output, read(), {**BOXES, "3.png": [[1, 2, 3, 5]]})
    with pytest.raises(DataError, match=r"train0\d-\d\.tfrec .*3\.png .*--boxes"):
        plan_with_boxes(output, read(), BOXES)


def plan_with_masks(output: AnyPath, table: MergedTable, **checksums: str) -> object:
    masks = {f"{name[1:]}.png": MaskFile(f"{name[1:]}.png", 7, checksum) for name, checksum in checksums.items()}
    return write_plan(output, replace(planned(table, num_shards=2), masks=masks), table.roots)


def test_masks_are_with_the_rows_and_may_be_corrected_until_their_shard_is_finished(begun):
    output, _, read = begun
    assert plan_with_masks(output, read(), _3="0a", _5="0b") == plan_again(output, read())
    plan_with_masks(output, read(), _3="0a", _5="0b")
    rows = [row for index in range(2) for row in read_rows(rows_path(output, "train", index))]
    assert {row.file: row.mask for row in rows if row.mask} == {
        "3.png": MaskFile("3.png", 7, "0a"),
        "5.png": MaskFile("5.png", 7, "0b"),
    }
    plan_again(output, read())
    finish_shards(output, read())
    with pytest.raises(DataError, match=r"train0\d-\d\.tfrec .*3\.png .*--masks"):
        plan_with_masks(output, read(), _3="0c")


def doubled(train: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([train, train.assign(image_name="more " + train["image_name"])], ignore_index=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda train: train.iloc[:-1], ""),
        (doubled, ".* 5 images .* 10; .*--input"),
        (lambda train: train.assign(sex=["male"] + [None] * 9), r".*'sex': -1.*'sex': 0"),
        (
            lambda train: train.assign(file=[*train["file"][:-1], "0.png"]),
            r".*9\.png .*0\.png ",
        ),
    ],
)
def test_another_table_is_refused(begun, change, message):
    output, _, read = begun
    table = read()
    plan_again(output, table)
    with pytest.raises(DataError, match=rf"{output}: train0\d{message}"):
        plan_again(output, replace(table, train=change(table.train)))


_MANY_ROWS = """
import json, sys, time
from pathlib import Path
import numpy as np
from tests.tfrecords_tools.made_up_tables import made_up_table
from tfrecords_tools.foundation.metadata import CATEGORIES
from tfrecords_tools.planning import plan_shards, write_plan
def peak_kilobytes():  # of this process alone: ru_maxrss starts at that of the process that started it
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
table = made_up_table(250_000, 15_000)
drawn = peak_kilobytes()
start = time.perf_counter()
plan = plan_shards(table, np.arange(250_000), num_shards=15, seed=0)
planned = time.perf_counter()
after_planning = peak_kilobytes()
write_plan(Path(sys.argv[1]), plan, table.roots)
peak = peak_kilobytes()
times = {"plan": planned - start, "write": time.perf_counter() - planned}
print(json.dumps({"table": drawn, "planned": after_planning, "peak": peak, **times}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
def test_a_quarter_of_a_million_rows_are_planned_in_less_than_400_megabytes(tmp_path):
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    command = [sys.executable, "-c", _MANY_ROWS, str(tmp_path)]
    result = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    measured = json.loads(result.stdout)
    assert measured["peak"] < 400_000  # kilobytes
    assert sum(1 for index in range(15) for _ in read_rows(rows_path(tmp_path, "train", index))) == 250_000
