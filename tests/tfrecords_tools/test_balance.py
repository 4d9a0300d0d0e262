"""The table of the achieved balance: what it counts, what it calls a deviation, and how it reads."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from tfrecords_tools.balance import balance_table, format_balance, worst_deviations

# Patients 0 to 3 have 3, 1, 2 and 4 images; 0 and 1 are in shard 0, 2 and 3 in shard 1.
GROUPS = np.repeat([0, 1, 2, 3], [3, 1, 2, 4])
SHARDS = np.repeat([0, 1], [4, 6])
TARGETS = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 2])


@pytest.fixture
def table() -> pd.DataFrame:
    return balance_table(GROUPS, TARGETS, SHARDS, ("mole", "other", "melanoma", "absent"))


def test_the_table_counts_rows_classes_and_patients(table):
    assert table["shard"].tolist() == [0, 1, "all"]
    assert table["rows"].tolist() == [4, 6, 10]
    assert table["class mole"].tolist() == [3, 5, 8]
    assert table["class other"].tolist() == [1, 0, 1]
    assert table["class melanoma"].tolist() == [0, 1, 1]
    assert table["class absent"].tolist() == [0, 0, 0]
    assert table["patients"].tolist() == [2, 2, 4]


def test_the_rate_is_that_of_the_rarest_class_that_is_there(table):
    rates = [name for name in table if name.startswith("percent")]
    assert rates == ["percent other"]
    assert table["percent other"].tolist() == [25, 0, 10]


def test_images_per_patient_by_hand(table):
    # Shard 0: 1, 3; shard 1: 2, 4; all: 1, 2, 3, 4. 90th percentiles: 1 + 0.9 * 2, 2 + 0.9 * 2, 1 + 0.9 * 3.
    assert table["images median"].tolist() == [2, 3, 2.5]
    assert table["images 90%"].tolist() == [2.8, 3.8, 3.7]
    assert table["images largest"].tolist() == [3, 4, 4]
    # At most 1 image: 1/2, 0 and 1/4 of the patients; at most 3: 1, 1/2, 3/4.
    assert table["images KS %"].tolist() == [25, 25, 0]


def test_the_distance_is_that_of_scipy():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), rng.geometric(0.1, 200))
    shards = (np.arange(200) % 7)[groups]
    sizes = np.bincount(groups)
    expected = [100 * ks_2samp(sizes[shard::7], sizes).statistic for shard in range(7)]
    table = balance_table(groups, np.zeros_like(groups), shards, ("one",))
    np.testing.assert_allclose(table["images KS %"][:-1], expected, atol=0.006)


def test_deviations_are_from_the_mean_of_amounts_and_from_the_value_of_the_whole(table):
    worst = worst_deviations(table)
    assert worst["rows"] == pytest.approx(20)  # 4 and 6 around 5
    assert worst["class mole"] == pytest.approx(25)  # 3 and 5 around 4
    assert worst["class other"] == pytest.approx(100)  # 1 and 0 around 0.5
    assert worst["class absent"] == 0
    assert worst["percent other"] == pytest.approx(150)  # 25 where all have 10
    assert worst["patients"] == 0
    assert worst["images median"] == pytest.approx(20)  # 2 and 3 around 2.5
    assert worst["images largest"] == pytest.approx(25)  # 3 where all have 4
    assert worst["images KS %"] == 25


def test_sources_are_counted_if_there_are_several():
    sources = np.array([0, 0, 0, 1, 1, 1, 0, 0, 0, 0])
    names = ("ours", "theirs")
    table = balance_table(GROUPS, TARGETS > 0, SHARDS, ("no", "yes"), sources=sources, source_names=names)
    assert table["source ours"].tolist() == [3, 4, 7]
    assert table["source theirs"].tolist() == [1, 2, 3]
    assert worst_deviations(table)["source theirs"] == pytest.approx(100 / 3)
    alone = balance_table(GROUPS, TARGETS > 0, SHARDS, ("no", "yes"), sources=np.zeros(10, int), source_names=("ours",))
    assert not [name for name in alone if name.startswith("source")]


def test_a_class_may_be_called_as_a_column():
    table = balance_table(GROUPS, TARGETS > 0, SHARDS, ("rows", "patients"))
    assert table["rows"].tolist() == [4, 6, 10]
    assert table["class rows"].tolist() == [3, 5, 8]


def test_the_table_goes_through_json_unchanged(table):
    records = table.to_dict("records")
    assert json.loads(json.dumps(records)) == records
    assert records[0]["shard"] == 0
    assert records[-1]["rows"] == 10


def test_the_text_is_aligned_and_ends_with_the_worst_deviations():
    text = format_balance(balance_table(GROUPS, TARGETS > 0, SHARDS, ("mole", "melanoma")))
    assert text.splitlines() == [
        "  shard   rows  class     class   percent  patients  images  images   images  images",
        "                 mole  melanoma  melanoma            median     90%  largest    KS %",
        "------------------------------------------------------------------------------------",
        "      0      4      3         1        25         2       2     2.8        3      25",
        "      1      6      5         1     16.67         2       3     3.8        4      25",
        "------------------------------------------------------------------------------------",
        "    all     10      8         2        20         4     2.5     3.7        4       0",
        "worst %  20.00  25.00      0.00     25.00      0.00   20.00   24.32    25.00   25.00",
    ]
