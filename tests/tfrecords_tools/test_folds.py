"""Folds: patients and duplicates stay whole, classes and rows are balanced, and folds part the shards."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from tfrecords_tools.errors import DataError
from tfrecords_tools.folds import assign_shards, fold_shards, group_rows


def made_up_table(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns groups and targets of some 1,100 images of 200 patients; 2 % are of class 2, 10 % of class 1."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(200), rng.integers(1, 11, 200))
    return groups, rng.choice(3, p=[0.88, 0.10, 0.02], size=len(groups))


def spread(counts: np.ndarray) -> int:
    return int(counts.max() - counts.min())


def shards_of_groups(groups: np.ndarray, shards: np.ndarray) -> pd.Series:
    return pd.Series(shards).groupby(groups).nunique()


def write_files(folder: Path, contents: list[bytes]) -> list[Path]:
    files = [folder / f"{number}.jpg" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return files


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_patient_is_one_group_and_a_missing_one_is_nobody_else(tmp_path, missing):
    files = [tmp_path / f"{number}.jpg" for number in range(6)]
    rows = pd.DataFrame({"patient_id": ["b", "a", missing, "b", missing, "a"], "file": files}, dtype=object)
    assert group_rows(rows).tolist() == [0, 1, 2, 0, 3, 1]


def test_equal_files_join_their_patients(tmp_path):
    # Rows 0 and 2 are one patient, files 2 and 4 are equal, row 4 and 5 are one patient: all of these are one group.
    files = write_files(tmp_path, [b"one", b"two", b"same", b"four", b"same", b"five"])
    rows = pd.DataFrame({"patient_id": ["a", None, "a", "c", "b", "b"], "file": files})
    assert group_rows(rows).tolist() == [0, 1, 0, 2, 0, 0]


def test_files_of_equal_size_or_without_a_file_are_no_duplicates(tmp_path):
    files = [*write_files(tmp_path, [b"abc", b"abd"]), tmp_path / "missing.jpg", tmp_path / "missing too.jpg"]
    assert group_rows(pd.DataFrame({"patient_id": None, "file": files})).tolist() == [0, 1, 2, 3]


def test_the_groups_of_no_rows_are_none():
    assert group_rows(pd.DataFrame({"patient_id": [], "file": []})).tolist() == []


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_shards_are_balanced(seed):
    groups, targets = made_up_table(seed)
    shards = assign_shards(groups, targets, num_shards=5, seed=seed)
    assert (shards_of_groups(groups, shards) == 1).all()
    for label, most in ((2, 1), (1, 3), (0, 12)):
        assert spread(np.bincount(shards[targets == label], minlength=5)) <= most
    assert spread(np.bincount(shards)) <= 12
    assert spread(np.bincount(shards[np.unique(groups, return_index=True)[1]])) <= 4


@pytest.mark.parametrize("seed", range(3))
def test_the_rare_class_is_spread_no_worse_than_by_scikit_learn(seed):
    groups, targets = made_up_table(seed)
    theirs = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(targets, targets, groups)
    ours = np.bincount(assign_shards(groups, targets, 5, seed)[targets == 2], minlength=5)
    assert spread(ours) <= spread(np.array([np.sum(targets[test] == 2) for _, test in theirs]))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_real_table_is_balanced_in_melanomas_rows_and_patients(real_data, seed):
    rows = pd.read_csv(real_data / "siim_isic_2020" / "train.csv")
    rows["file"] = [Path(name) for name in rows["image_name"]]
    groups = group_rows(rows)
    shards = assign_shards(groups, rows["target"].to_numpy(), num_shards=15, seed=seed)
    table = rows.assign(shard=shards).groupby("shard")
    assert groups.max() + 1 == rows["patient_id"].nunique() == 2056
    assert rows.assign(shard=shards).groupby("patient_id")["shard"].nunique().max() == 1
    assert set(table["target"].sum()) <= {38, 39, 40}  # 584 / 15 = 38.9
    assert (table.size() / (33126 / 15) - 1).abs().max() < 0.012
    assert (table["patient_id"].nunique() / (2056 / 15) - 1).abs().max() < 0.02


def test_the_seed_decides_and_nothing_else():
    groups, targets = made_up_table(0)
    first, again, other = (assign_shards(groups, targets, 5, seed) for seed in (7, 7, 8))
    assert (first == again).all()
    assert (first != other).any()


def test_every_shard_gets_a_group_even_if_there_are_just_enough():
    groups = np.array([0, 0, 0, 1, 2, 2, 3])
    assert sorted(assign_shards(groups, np.zeros(7, int), 4, seed=0)[[0, 3, 4, 6]]) == [0, 1, 2, 3]


@pytest.mark.parametrize("groups", [[0, 1, 1, 2], []])
def test_more_shards_than_patients_are_refused(groups):
    patients = len(set(groups))
    with pytest.raises(DataError, match=f"num_shards is 4, but there are only {patients} patients"):
        assign_shards(np.array(groups, int), np.zeros(len(groups), int), 4, seed=0)


@pytest.mark.parametrize("num_shards", [2, 15, 16])
def test_folds_part_the_shards_into_equal_shares(num_shards):
    for num_folds in range(2, num_shards + 1):
        folds = [fold_shards(num_shards, num_folds, fold) for fold in range(num_folds)]
        assert sorted(itertools.chain(*folds)) == list(range(num_shards))
        assert spread(np.array([len(fold) for fold in folds])) <= 1


def test_a_fold_is_every_so_manieth_shard():
    assert fold_shards(15, 5, 1) == (1, 6, 11)


@pytest.mark.parametrize(
    ("num_folds", "fold", "message"),
    [
        (1, 0, "num_folds is 1: with 3 shards choose 2 to 3"),
        (4, 0, "num_folds is 4: with 3 shards choose 2 to 3"),
        (3, 3, "fold 3 does not exist: the 3 folds are 0 to 2"),
        (3, -1, "fold -1 does not exist"),
    ],
)
def test_folds_that_do_not_exist_are_refused(num_folds, fold, message):
    with pytest.raises(DataError, match=message):
        fold_shards(3, num_folds, fold)
