import numpy as np
import pytest

from melgan.metrics.comparison import Comparison
from melgan.metrics.intervals import jackknife_interval
from melgan.metrics.kid import estimate, kernel_distance
from tests.melgan.metrics.made_up_samples import made_up


def test_two_and_two_vectors_by_hand():
    """The kernel of x and y of length 2 is (x.y / 2 + 1)^3."""
    evaluated, reference = [[2, 0], [4, 0]], [[0, 2], [0, 2]]
    # evaluated: x.y = 8, so 5^3; reference: x.y = 4, so 3^3; between them: x.y = 0, so 1
    assert kernel_distance(np.array(evaluated), np.array(reference)) == pytest.approx(125 + 27 - 2 * 1, rel=1e-14)


def test_three_and_two_vectors_by_hand():
    evaluated, reference = [[2, 0], [0, 2], [-2, 0]], [[2, 2], [0, 0]]
    # evaluated pairs: x.y = 0, -4, 0, so the kernel is 1, (-1)^3, 1; the reference pair: x.y = 0, so 1;
    # with [2, 2]: x.y = 4, 4, -4, so 27, 27, -1; with [0, 0]: 1, 1, 1
    expected = (1 - 1 + 1) / 3 + 1 - 2 * (27 + 27 - 1 + 1 + 1 + 1) / 6
    assert kernel_distance(np.array(evaluated), np.array(reference)) == pytest.approx(expected, rel=1e-14)


def test_equal_distributions_are_at_no_distance_on_average_and_sometimes_below():
    rng = np.random.default_rng(0)
    values = np.array([kernel_distance(rng.normal(size=(12, 4)), rng.normal(size=(9, 4))) for _ in range(600)])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(600)
    assert 0.2 < np.mean(values < 0) < 0.8


def test_number_of_images_does_not_change_the_distance_on_average():
    """One feature, normal, with means 0 and 1: (xy + 1)^3 has mean 10 among the shifted, 4 otherwise.

    E (xy + 1)^3 = (E x^3)(E y^3) + 3 (E x^2)(E y^2) + 3 (E x)(E y) + 1; the moments of the shifted are 1, 2, 4, so
    16 + 12 + 3 + 1 = 32; of the others 0, 1, 0, so 3 + 1 = 4; between them 3 * 2 + 1 = 7: 32 + 4 - 14 = 22.
    """
    rng = np.random.default_rng(0)
    for count in (4, 40):
        draws = 16000 // count
        values = [kernel_distance(rng.normal(1.0, size=(count, 1)), rng.normal(size=(count, 1))) for _ in range(draws)]
        assert np.mean(values) == pytest.approx(22, abs=3 * np.std(values) / np.sqrt(draws))


def test_intervals_are_of_parts_left_out_whole():
    groups = np.arange(40) // 2
    comparison = Comparison(made_up(40, groups=groups), made_up(26, seed=1), seed=3)
    features, reference = comparison.evaluated.features, comparison.reference.features
    left_out = [kernel_distance(features[i], reference[j]) for i, j in comparison.leaving_parts_out()]
    expected = jackknife_interval(kernel_distance(features, reference), left_out)
    found = estimate(comparison)["kid"]
    assert len(left_out) == 10
    np.testing.assert_allclose(
        [found.value, found.low, found.high], [expected.value, expected.low, expected.high], rtol=1e-9
    )


def test_two_images_have_a_distance_but_no_interval():
    interval = estimate(Comparison(made_up(2), made_up(2, seed=1)))["kid"]
    assert np.isfinite(interval.value)
    assert np.isnan([interval.low, interval.high]).all()
