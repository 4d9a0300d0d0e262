import numpy as np
import pytest
import scipy.stats

from melgan.metrics.intervals import (
    Interval,
    bootstrap_interval,
    draw_parts,
    fraction_difference_interval,
    fraction_interval,
    jackknife_interval,
    patient_groups,
    wider_fraction_interval,
)

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

    def metric(rows):
        draws.append(rows)
        return float(len(rows))

    bootstrap_interval(metric, groups, seed=0, num_resamples=50)
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


def test_resamples_without_a_value_are_left_out():
    def metric(rows):
        return float("nan") if 0 not in rows else 1.0

    assert bootstrap_interval(metric, np.arange(5), seed=0) == Interval(1.0, 1.0, 1.0)


@pytest.mark.parametrize("known", [[], list(range(5))], ids=["always", "on all rows"])
def test_no_value_no_interval(known):
    """NaN whatever is drawn, or only where all rows are there."""

    def metric(rows):
        return 0.5 if known and sorted(rows) != known else float("nan")

    interval = bootstrap_interval(metric, np.arange(5), seed=0)
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


def test_jackknife_of_a_mean_is_its_interval_by_students_t():
    values = VALUES[:25]
    left_out = [np.delete(values, row).mean() for row in range(25)]
    found = jackknife_interval(values.mean(), left_out)
    expected = scipy.stats.t.interval(0.95, 24, values.mean(), values.std(ddof=1) / 5)
    np.testing.assert_allclose([found.value, found.low, found.high], [values.mean(), *expected], rtol=1e-12)


def test_jackknife_of_parts_knows_as_much_as_their_means():
    """Ten parts of 40 rows: the interval of the mean of ten means."""
    parts = np.arange(400) % 10
    means = np.array([VALUES[parts == part].mean() for part in range(10)])
    found = jackknife_interval(VALUES.mean(), [VALUES[parts != part].mean() for part in range(10)])
    expected = scipy.stats.t.interval(0.95, 9, means.mean(), means.std(ddof=1) / np.sqrt(10))
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-12)


def test_jackknife_by_hand():
    # errors: sqrt(2 / 3 * (1 + 0 + 1)), and a t of 4.302653 with two degrees of freedom
    found = jackknife_interval(5.0, [3, 4, 5])
    reach = 4.302653 * np.sqrt(4 / 3)
    np.testing.assert_allclose([found.value, found.low, found.high], [5, 5 - reach, 5 + reach], atol=1e-5)


@pytest.mark.parametrize("left_out", [[], [1.0], [1.0, float("nan"), 2.0]], ids=["nothing", "one part", "no value"])
def test_jackknife_without_parts_or_values_has_no_interval(left_out):
    found = jackknife_interval(0.5, left_out)
    assert found.value == 0.5
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # the reverse of the third
        (20, 20, 0.8389, 1.0000),
    ],
)
def test_fractions_have_wilsons_interval(hits, count, low, high):
    found = fraction_interval(np.arange(count) < hits, np.arange(count))
    assert found.value == hits / count
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


def test_equal_images_of_a_group_count_as_one():
    hits = np.arange(20) < 7
    groups = np.repeat(np.arange(20), 3)
    assert fraction_interval(hits[groups], groups) == fraction_interval(hits, np.arange(20))


def test_groups_of_different_sizes_count_as_fewer():
    """Sizes 1, 1 and 4: 36 / 18 = 2 images."""
    found = fraction_interval(np.array([True, False, True, True, True, True]), np.array([0, 1, 2, 2, 2, 2]))
    fraction, squared = 5 / 6, 1.959964**2
    middle = (fraction + squared / 4) / (1 + squared / 2)
    reach = np.sqrt(squared * (fraction * (1 - fraction) / 2 + squared / 16)) / (1 + squared / 2)
    np.testing.assert_allclose(
        [found.value, found.low, found.high], [fraction, middle - reach, middle + reach], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ((0.5, 0.3, 0.6), (0.5, 0.3, 0.8)),
        ((0.5, -0.2, 1.3), (0.5, 0.0, 1.0)),
        ((0.5, float("nan"), float("nan")), (0.5, 0.4, 0.8)),
    ],
)
def test_wider_interval_of_a_fraction_holds_both_and_stays_a_fraction(second, expected):
    assert wider_fraction_interval(Interval(0.5, 0.4, 0.8), Interval(*second)) == Interval(*expected)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        # Newcombe 1998, "Interval estimation for the difference between independent proportions", table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_differences_of_fractions_have_newcombes_interval(first, second, low, high):
    fractions = [fraction_interval(np.arange(count) < hits, np.arange(count)) for hits, count in (first, second)]
    found = fraction_difference_interval(*fractions)
    assert found.value == pytest.approx(first[0] / first[1] - second[0] / second[1])
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


def test_difference_of_fractions_the_other_way_round_is_its_reverse():
    first, second = (fraction_interval(np.arange(30) < hits, np.arange(30)) for hits in (20, 11))
    one, other = fraction_difference_interval(first, second), fraction_difference_interval(second, first)
    np.testing.assert_allclose([one.value, one.low, one.high], [-other.value, -other.high, -other.low], rtol=1e-12)


@pytest.mark.parametrize(("most", "expected"), [(20, 10), (10, 10), (3, 3), (1, 1)])
def test_parts_are_of_even_size_and_ten_at_most(most, expected):
    sizes = np.bincount(draw_parts(np.arange(45), most, seed=0))
    assert len(sizes) == expected
    assert sizes.max() - sizes.min() <= 1


def test_parts_keep_groups_whole():
    groups = np.random.default_rng(0).choice([7, 3, 90, 12, 40], 60)
    parts = draw_parts(groups, 4, seed=0)
    assert all(len(set(parts[groups == group])) == 1 for group in groups)
    assert sorted(set(parts)) == [0, 1, 2, 3]


def test_parts_are_drawn_by_the_seed():
    parts, again, other = (draw_parts(ALONE, 10, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(parts, again)
    assert (parts != other).any()
    assert len(set(parts[:10])) > 1
    assert (parts != ALONE % 10).any()
