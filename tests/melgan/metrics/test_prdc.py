import numpy as np
import pytest

from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.prdc import estimate, prdc
from tests.melgan.metrics.made_up_samples import made_up

REAL = np.array([0.0, 1.0, 3.0, 7.0])[:, None]
EVALUATED = np.array([0.5, 2.5, 13.5, 14.5])[:, None]


@pytest.mark.parametrize(
    ("nearest", "expected"),
    [
        # Balls around the real ones reach 1, 1, 2, 4: 0.5 lies in two, 2.5 in one (around 3), the others in none.
        # Those around the evaluated ones reach 2, 2, 1, 1: 7 lies in none. It alone has none of them in its own ball.
        (1, {"precision": 2 / 4, "recall": 3 / 4, "density": 3 / 4, "coverage": 3 / 4}),
        # Balls around the real ones reach 3, 2, 3, 6: 0.5 lies in three, 2.5 in four, the others in none. Those around
        # the evaluated ones reach 13, 11, 11, 12, so all real ones lie in one. The ball around 7 holds 2.5.
        (2, {"precision": 2 / 4, "recall": 1.0, "density": 7 / 4 / 2, "coverage": 1.0}),
    ],
)
def test_four_points_by_hand(nearest, expected):
    assert prdc(EVALUATED, REAL, nearest) == expected


def test_a_point_on_the_rim_of_a_ball_lies_in_it():
    values = prdc(np.array([[4.0], [100.0]]), np.array([[0.0], [2.0]]), nearest=1)
    assert values == {"precision": 0.5, "recall": 1.0, "density": 0.5, "coverage": 0.5}


@pytest.mark.parametrize("nearest", [1, 5])
def test_a_set_lies_in_itself(nearest):
    rows = np.random.default_rng(0).normal(size=(40, 3))
    values = prdc(rows, rows[::-1], nearest)
    # a ball holds the k nearest and the image in its middle, on the rim of it within rounding
    density = values.pop("density")
    assert set(values.values()) == {1.0}
    assert 1.0 <= density <= (nearest + 1) / nearest


def test_another_sample_of_the_same_distribution_has_a_density_of_about_one():
    rng = np.random.default_rng(0)
    values = [prdc(rng.normal(size=(300, 4)), rng.normal(size=(300, 4))) for _ in range(5)]
    assert np.mean([of_sample["density"] for of_sample in values]) == pytest.approx(1, abs=0.05)
    assert min(of_sample["precision"] for of_sample in values) > 0.8


def test_sets_far_apart_have_nothing_in_common():
    rows = np.random.default_rng(0).normal(size=(2, 30, 3))
    assert set(prdc(rows[0], rows[1] + 100).values()) == {0.0}


def test_a_dropped_mode_lowers_recall_and_coverage_and_not_precision():
    rng = np.random.default_rng(0)
    centres = np.array([0.0, 50.0])[np.arange(200) % 2][:, None]
    real, evaluated = centres + rng.normal(size=(200, 3)), centres + rng.normal(size=(200, 3))
    whole, dropped = prdc(evaluated, real), prdc(evaluated[::2], real)
    assert dropped["precision"] > whole["precision"] - 0.05
    assert dropped["density"] > whole["density"] - 0.1
    assert whole["recall"] > 0.9 > 0.5 >= dropped["recall"]
    assert whole["coverage"] > 0.9 > 0.5 >= dropped["coverage"]


def test_an_outlier_among_real_images_inflates_precision_but_not_density():
    """Why density is there: Naeem et al. 2020, figure 2."""
    rng = np.random.default_rng(0)
    real, evaluated = rng.normal(size=(100, 2)), rng.normal(10.0, size=(100, 2))
    values = prdc(evaluated, np.concatenate([real, [[9.0, 9.0]]]))
    assert values["precision"] == 1.0
    assert values["density"] == pytest.approx(1 / 5)


def test_estimates_are_the_metrics_with_intervals_in_which_equal_images_of_a_group_count_once():
    evaluated, reference = made_up(40), made_up(30, seed=1)
    values = estimate(Comparison(evaluated, reference))
    expected = prdc(evaluated.features, reference.features)
    assert {name: interval.value for name, interval in values.items()} == pytest.approx(expected)
    rows = np.repeat(np.arange(40), 4)
    repeated = estimate(Comparison(evaluated.take(rows), reference))
    for name in ("precision", "density"):
        assert repeated[name] == values[name]


@pytest.mark.parametrize(("count", "reference_count"), [(60, 24), (24, 60)])
def test_intervals_hold_the_mean_of_many_samples_although_one_side_is_small(count, reference_count):
    """Of 40 pairs of samples, at most five may miss: 95 % miss so few with a probability of 0.97."""
    found = {}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sides = [
            made_up(size, num_classes=1, side=1, features=rng.normal(shift, spread, (size, 8)))
            for size, shift, spread in ((count, 0.3, 0.8), (reference_count, 0.0, 1.0))
        ]
        for name, interval in estimate(Comparison(*sides, seed=seed)).items():
            found.setdefault(name, []).append(interval)
    for intervals in found.values():
        mean = np.mean([interval.value for interval in intervals])
        assert sum(not interval.low <= mean <= interval.high for interval in intervals) <= 5


@pytest.mark.parametrize(("count", "reference_count"), [(5, 30), (30, 5)])
def test_as_many_images_as_neighbours_are_too_few(count, reference_count):
    with pytest.raises(MetricUnavailable, match="5"):
        estimate(Comparison(made_up(count), made_up(reference_count)))
