import numpy as np
import pytest

from melgan.metrics.intervals import Interval, bootstrap_interval, patient_groups

VALUES = np.random.default_rng(0).normal(size=400)
ALONE = np.arange(400)


def mean(rows):
    return float(VALUES[rows].mean())


def test_interval_of_a_mean_is_that_of_its_standard_error():
    interval = bootstrap_interval(mean, ALONE, seed=1, num_resamples=4000)
    standard_error = VALUES.std() / np.sqrt(400)
    assert interval.value == VALUES.mean()
    np.testing.assert_allclose(
        [interval.low, interval.high],
        VALUES.mean() + 1.96 * standard_error * np.array([-1, 1]),
        atol=0.1 * standard_error,
    )


def test_groups_of_equal_rows_widen_the_interval_as_fewer_rows_would():
    """100 patients with four equal images each know as much as 100 images."""
    groups = np.repeat(np.arange(100), 4)
    by_patient = VALUES[:100]
    grouped = bootstrap_interval(lambda rows: float(by_patient[groups[rows]].mean()), groups, seed=1)
    single = bootstrap_interval(lambda rows: float(by_patient[rows].mean()), np.arange(100), seed=1)
    np.testing.assert_allclose(
        [grouped.value, grouped.low, grouped.high], [single.value, single.low, single.high], rtol=1e-9
    )


@pytest.mark.parametrize("names", [[0, 1, 2], [7, 3, 90]], ids=["compact", "gaps"])
def test_groups_are_drawn_whole_and_as_many_as_there_are(names):
    groups = np.array(names)[[0, 1, 0, 2, 2, 2]]
    draws = []

    def figure(rows):
        draws.append(rows)
        return float(len(rows))

    bootstrap_interval(figure, groups, seed=0, num_resamples=50)
    np.testing.assert_array_equal(draws[0], np.arange(6))
    sizes = {name: int((groups == name).sum()) for name in names}
    for rows in draws[1:]:
        times = np.bincount(rows, minlength=6)
        by_group = [set(times[groups == name]) for name in names]
        assert all(len(counts) == 1 for counts in by_group)
        assert sum(counts.pop() for counts in by_group) == 3
        assert len(rows) == sum(sizes[groups[row]] * times[row] / sizes[groups[row]] for row in range(6))
    assert len({tuple(rows) for rows in draws[1:]}) > 5


def test_same_seed_same_resamples_so_that_differences_are_paired():
    first, again, other = (bootstrap_interval(mean, ALONE, seed=seed, num_resamples=200) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    shifted = bootstrap_interval(lambda rows: mean(rows) + 0.5, ALONE, seed=1, num_resamples=200)
    assert shifted.low - first.low == pytest.approx(0.5)
    assert shifted.high - first.high == pytest.approx(0.5)


def test_resamples_without_a_figure_are_left_out():
    def figure(rows):
        return float("nan") if 0 not in rows else 1.0

    assert bootstrap_interval(figure, np.arange(5), seed=0) == Interval(1.0, 1.0, 1.0)


@pytest.mark.parametrize("known", [[], list(range(5))], ids=["always", "on all rows"])
def test_no_figure_no_interval(known):
    """NaN whatever is drawn, or only where all rows are there."""

    def figure(rows):
        return 0.5 if known and sorted(rows) != known else float("nan")

    interval = bootstrap_interval(figure, np.arange(5), seed=0)
    assert np.isnan([interval.value, interval.low, interval.high]).all()


@pytest.mark.parametrize(
    ("patients", "expected"),
    [
        ([5, 2, 5, 9], [1, 0, 1, 2]),
        ([-1, 3, -1, 3, 7], [2, 0, 3, 0, 1]),
        ([-1, -1], [0, 1]),
        ([], []),
    ],
)
def test_missing_patients_are_groups_of_their_own(patients, expected):
    np.testing.assert_array_equal(patient_groups(np.array(patients, np.int64)), expected)
