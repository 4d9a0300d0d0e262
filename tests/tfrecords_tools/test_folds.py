"""Folds: patients and duplicates stay whole, classes, rows and images per patient are balanced, folds part shards."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from tests.conftest import ROOT
from tfrecords_tools.balance import balance_table
from tfrecords_tools.folds import _fill, assign_shards, fold_shards, group_rows
from tfrecords_tools.foundation.errors import DataError


def made_up_table(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns groups and targets of some 1,100 images of 200 patients; 2 % are of class 2, 10 % of class 1."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(200), rng.integers(1, 11, 200))
    return groups, rng.choice(3, p=[0.88, 0.10, 0.02], size=len(groups))


def spread(counts: np.ndarray) -> int:
    return int(counts.max() - counts.min())


def shards_of_groups(groups: np.ndarray, shards: np.ndarray) -> np.ndarray:
    """Returns the shard of each group; fails if one is split."""
    assert (pd.Series(shards).groupby(groups).nunique() == 1).all()
    return shards[np.unique(groups, return_index=True)[1]]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_patient_is_one_group_and_a_missing_one_is_nobody_else(missing):
    patients = pd.Series(["b", "a", missing, "b", missing, "a"], dtype=object)
    assert group_rows([patients]).tolist() == [0, 1, 2, 0, 3, 1]


def test_links_of_several_keys_add_up():
    # Rows 0 and 2 are one patient, 2 and 4 are duplicates, 4 and 5 are one lesion; 1 and 3 stay alone.
    patients = pd.Series(["a", None, "a", "c", "b", None], dtype=object)
    lesions = np.array([np.nan, 1.0, np.nan, np.nan, 7.0, 7.0])
    duplicates = np.array([0, 1, 2, 3, 2, 5])
    assert group_rows([patients, lesions, duplicates]).tolist() == [0, 1, 0, 2, 0, 0]
    assert group_rows([duplicates, patients, lesions]).tolist() == [0, 1, 0, 2, 0, 0]


def test_a_negative_number_is_a_key_as_any_other():
    assert group_rows([np.array([-1, 3, -1, 3])]).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_what_spreading_the_links_step_by_step_gives(seed):
    rng = np.random.default_rng(seed)
    keys = [rng.integers(0, 40, 60).astype(float) for _ in range(3)]
    for key in keys:
        key[rng.random(60) < 0.5] = np.nan
    smallest = np.arange(60)  # every row takes the smallest number among the rows it is linked with
    for _ in range(60):
        for key in keys:
            for value in np.unique(key[~np.isnan(key)]):
                smallest[key == value] = smallest[key == value].min()
    assert (group_rows(keys) == pd.factorize(smallest)[0]).all()


def test_the_groups_of_no_rows_are_none():
    assert group_rows([pd.Series([], dtype=object), np.array([])]).tolist() == []


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_shards_are_balanced(seed):
    groups, targets = made_up_table(seed)
    shards = assign_shards(groups, targets, num_shards=5, seed=seed)
    shard_of_group = shards_of_groups(groups, shards)
    for label, most in ((2, 1), (1, 2), (0, 3)):
        assert spread(np.bincount(shards[targets == label], minlength=5)) <= most
    assert spread(np.bincount(shards)) <= 2
    assert spread(np.bincount(shard_of_group)) <= 2
    sizes = np.bincount(groups)
    for smallest, largest in ((1, 1), (2, 2), (3, 4), (5, 8), (9, 16)):
        of_size = (sizes >= smallest) & (sizes <= largest)
        assert spread(np.bincount(shard_of_group[of_size], minlength=5)) <= 2


@pytest.mark.parametrize("seed", range(20))
def test_no_table_splits_a_group_or_leaves_a_shard_empty(seed):
    rng = np.random.default_rng(seed)
    num_groups = rng.integers(2, 60)
    rows = np.append(np.arange(num_groups), rng.zipf(1.5, 300).clip(max=num_groups) - 1)
    groups, targets = rng.permutation(rows), rng.integers(0, 1 + seed % 5, len(rows))
    num_shards = int(rng.integers(1, num_groups + 1))
    shards = assign_shards(groups, targets, num_shards, seed, sources=groups % (1 + seed % 3))
    assert np.unique(shards_of_groups(groups, shards)).tolist() == list(range(num_shards))


@pytest.mark.parametrize("seed", range(3))
def test_the_rare_class_is_spread_no_worse_than_by_scikit_learn(seed):
    groups, targets = made_up_table(seed)
    theirs = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(targets, targets, groups)
    ours = np.bincount(assign_shards(groups, targets, 5, seed)[targets == 2], minlength=5)
    assert spread(ours) <= spread(np.array([np.sum(targets[test] == 2) for _, test in theirs]))


@pytest.mark.parametrize("seed", range(10))
def test_the_real_table_is_balanced_in_every_way(real_data, seed):
    rows = pd.read_csv(real_data / "siim_isic_2020" / "train.csv")
    groups, targets = group_rows([rows["patient_id"]]), rows["target"].to_numpy()
    shards = assign_shards(groups, targets, num_shards=15, seed=seed)
    assert rows.assign(shard=shards).groupby("patient_id")["shard"].nunique().max() == 1
    table = balance_table(groups, targets, shards, ("benign", "malignant"))
    assert table.iloc[-1][["rows", "class malignant", "patients"]].tolist() == [33126, 584, 2056]
    each = table.iloc[:-1]
    assert set(each["class malignant"]) <= {38, 39, 40}  # 584 / 15 = 38.9
    assert set(each["rows"]) == {2208, 2209}  # 33126 / 15 = 2208.4
    assert (each["class malignant"] / each["rows"] / (584 / 33126) - 1).abs().max() < 0.03
    assert (each["patients"] / (2056 / 15) - 1).abs().max() < 0.01
    assert (each["images median"] == 12).all()
    assert each["images 90%"].between(34, 36).all()  # of the whole: 35
    assert each["images KS %"].max() <= 0.9  # the public folds: 0.9; patients dealt by lot: 10


@pytest.mark.parametrize(("num_shards", "rate_within"), [(5, 0.01), (8, 0.01), (10, 0.02), (16, 0.02), (30, 0.03)])
def test_other_numbers_of_shards_are_balanced_too(real_data, num_shards, rate_within):
    rows = pd.read_csv(real_data / "siim_isic_2020" / "train.csv")
    targets = rows["target"].to_numpy()
    shards = assign_shards(group_rows([rows["patient_id"]]), targets, num_shards, seed=0)
    sizes, melanomas = np.bincount(shards), np.bincount(shards, targets)
    assert spread(sizes) <= 2
    assert abs(melanomas / sizes / (584 / 33126) - 1).max() < rate_within


@pytest.mark.parametrize("seed", range(3))
def test_of_any_size_there_are_as_many_patients_in_every_shard_to_within_two(seed):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(1000), rng.geometric(0.08, 1000))
    targets = (rng.random(len(groups)) < 0.03).astype(int)
    shards = assign_shards(groups, targets, num_shards=10, seed=seed)
    sizes, shard_of_group = np.bincount(groups), shards_of_groups(groups, shards)
    for size in range(1, 40):
        assert spread(np.bincount(shard_of_group[sizes <= size], minlength=10)) <= 2
    assert spread(np.bincount(shards)) <= 1
    assert spread(np.bincount(shards[targets == 1], minlength=10)) <= 1


def test_more_sizes_than_are_counted_are_even_too():
    groups = np.repeat(np.arange(600), np.arange(1, 601))
    shards = assign_shards(groups, np.zeros_like(groups), num_shards=6, seed=0)
    shard_of_group = shards_of_groups(groups, shards)
    for size in range(1, 600):
        assert spread(np.bincount(shard_of_group[:size], minlength=6)) <= 3
    assert spread(np.bincount(shards)) <= 2


def test_single_images_of_four_classes_are_dealt_to_within_one():
    targets = np.repeat([0, 1, 2, 3], [1001, 507, 106, 13])
    shards = assign_shards(np.arange(1627), targets, num_shards=10, seed=0)
    assert [spread(np.bincount(shards[targets == label], minlength=10)) for label in range(4)] == [1, 1, 1, 1]
    assert spread(np.bincount(shards)) == 1


def test_fewer_rare_images_than_shards_are_apart():
    groups = np.repeat(np.arange(100), 6)
    targets = np.zeros(600, int)
    targets[[0, 60, 120, 180]] = 1
    shards = assign_shards(groups, targets, num_shards=10, seed=0)
    assert np.bincount(np.bincount(shards[targets == 1], minlength=10)).tolist() == [6, 4]
    assert np.bincount(shards).tolist() == [60] * 10


@pytest.mark.parametrize("num_shards", [2, 5, 15])
def test_a_patient_with_a_third_of_the_rows_leaves_the_others_balanced(num_shards):
    groups = np.concatenate([np.zeros(1500, int), np.repeat(np.arange(1, 301), 10)])
    targets = (np.arange(4500) % 50 == 0).astype(int)
    sizes = np.bincount(assign_shards(groups, targets, num_shards, seed=0))
    others = np.delete(sizes, sizes.argmax())
    assert spread(others) <= 10  # one patient
    assert sizes.max() < 1500 + others.min()


def test_two_equal_halves_are_found():
    groups = np.repeat(np.arange(40), np.tile([1, 3, 7, 9], 10))
    shards = assign_shards(groups, np.arange(200) % 2, num_shards=2, seed=0)
    assert np.bincount(shards).tolist() == [100, 100]
    assert np.bincount(shards_of_groups(groups, shards)).tolist() == [20, 20]


def test_each_class_of_each_source_is_balanced():
    groups, targets = made_up_table(0)
    sources = (groups % 4 == 0).astype(int)
    shards = assign_shards(groups, targets, num_shards=5, seed=0, sources=sources)
    for source, label in itertools.product((0, 1), (0, 1, 2)):
        counts = np.bincount(shards[(sources == source) & (targets == label)], minlength=5)
        assert spread(counts) <= 3
    assert (
        assign_shards(groups, targets, 5, 0, sources=np.full(len(groups), 7)) == assign_shards(groups, targets, 5, 0)
    ).all()


def test_the_seed_decides_and_nothing_else():
    groups, targets = made_up_table(0)
    first, again, other = (assign_shards(groups, targets, 5, seed) for seed in (7, 7, 8))
    assert (first == again).all()
    assert (first != other).any()


def test_the_order_of_the_rows_does_not_change_what_shards_are_made_of():
    groups, targets = made_up_table(0)
    order = np.random.default_rng(1).permutation(len(groups))
    renumbered = pd.factorize(groups[order])[0]

    def contents(groups: np.ndarray, targets: np.ndarray) -> list[list[tuple[int, ...]]]:
        """What the groups of each shard hold of each class."""
        shard_of_group = shards_of_groups(groups, assign_shards(groups, targets, 5, seed=3))
        held = pd.crosstab(groups, targets).to_numpy()
        return [sorted(map(tuple, held[shard_of_group == shard].tolist())) for shard in range(5)]

    assert contents(groups, targets) == contents(renumbered, targets[order])


@pytest.mark.parametrize("seed", range(5))
def test_filling_at_once_is_filling_the_lowest_place_step_by_step(seed):
    rng = np.random.default_rng(seed)
    heights, step, count = rng.integers(0, 50, 6), int(rng.integers(1, 20)), int(rng.integers(1, 40))
    level = heights.copy()
    for _ in range(count):
        level[np.argmin(level)] += step
    assert sorted(heights + step * _fill(heights, step, count)) == sorted(level)
    assert _fill(heights, step, count).sum() == count


def test_every_shard_gets_a_group_even_if_there_are_just_enough():
    groups = np.array([0, 0, 0, 1, 2, 2, 3])
    assert sorted(assign_shards(groups, np.zeros(7, int), 4, seed=0)[[0, 3, 4, 6]]) == [0, 1, 2, 3]


@pytest.mark.parametrize("groups", [[0, 1, 1, 2], []])
def test_more_shards_than_patients_are_refused(groups):
    patients = len(set(groups))
    with pytest.raises(DataError, match=f"num_shards is 4, .*{patients} patients"):
        assign_shards(np.array(groups, int), np.zeros(len(groups), int), 4, seed=0)


@pytest.mark.parametrize("num_shards", [2, 15, 16])
def test_folds_divide_the_shards_equally(num_shards):
    for num_folds in range(2, num_shards + 1):
        folds = [fold_shards(num_shards, num_folds, fold) for fold in range(num_folds)]
        assert sorted(itertools.chain(*folds)) == list(range(num_shards))
        assert spread(np.array([len(fold) for fold in folds])) <= 1


def test_a_fold_is_every_so_manieth_shard():
    assert fold_shards(15, 5, 1) == (1, 6, 11)


@pytest.mark.parametrize(
    ("num_folds", "fold", "message"),
    [
        (1, 0, "num_folds is 1: .*2 to 3"),
        (4, 0, "num_folds is 4: .*2 to 3"),
        (3, 3, "fold 3 .*0 to 2"),
        (3, -1, "fold -1 .*0 to 2"),
    ],
)
def test_folds_that_do_not_exist_are_refused(num_folds, fold, message):
    with pytest.raises(DataError, match=message):
        fold_shards(3, num_folds, fold)


PLAN_A_MILLION = """
import sys
import numpy as np
import pandas as pd
from pathlib import Path
from tfrecords_tools.folds import assign_shards, group_rows

rng, rows = np.random.default_rng(0), 1_000_000
if sys.argv[1] == "patients":
    patient = rng.integers(0, 60_000, rows)
    copied = np.arange(rows)
    copied[:1000] = copied[-1000:]
    keys = [pd.Series([f"IP_{number:07d}" for number in patient.tolist()]), copied]
else:
    keys = [pd.Series([None] * rows, dtype=object)]
groups = group_rows(keys)
shards = assign_shards(groups, (rng.random(rows) < 0.0176).astype(int), 15, seed=0)
counts = np.bincount(shards)
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(groups.max() + 1, counts.max() - counts.min(), int(peak.split()[1]) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize(("kind", "least", "most"), [("patients", 58_000, 60_000), ("single", 1_000_000, 1_000_000)])
def test_a_million_rows_are_planned_in_little_memory(kind, least, most):
    # In a process of its own; the peak that getrusage gives would count that of the process that started it.
    command = [sys.executable, "-c", PLAN_A_MILLION, kind]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    groups, row_spread, peak_megabytes = map(int, result.stdout.split())
    assert least <= groups <= most
    assert row_spread <= 1
    assert peak_megabytes < 500
