import numpy as np
import pytest

from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.fid import estimate, estimate_extrapolated, extrapolated_distance, frechet_distance
from melgan.metrics.intervals import jackknife_interval
from tests.melgan.metrics.made_up_samples import made_up


def sample_of(mean, root, count, seed=0):
    """Rows `[count, F]` whose mean is exact, and whose covariance is exactly root root'."""
    drawn = np.random.default_rng(seed).normal(size=(count, len(mean)))
    white = np.linalg.qr(drawn - drawn.mean(axis=0))[0] * np.sqrt(count - 1)
    return white @ np.asarray(root).T + mean


def among_more_features(num_features, length, seed=0):
    """Orthonormal columns: they put vectors into a space of more features, where distances are the same."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(num_features, length)))[0]


MEANS = np.array([1.0, 0.0, -2.0]), np.array([0.5, 2.0, 0.0])
DEVIATIONS = np.array([1.0, 2.0, 0.5]), np.array([3.0, 1.0, 0.5])
# means: 0.25 + 4 + 4; deviations, each less the other: 4 + 1 + 0
DIAGONAL = 13.25

MORE_ROWS_OR_COLUMNS = pytest.mark.parametrize("num_features", [3, 60], ids=["more rows", "more columns"])


def test_samples_of_these_tests_have_exact_moments():
    rows = sample_of([1.0, -1.0], [[1.0, 0.0], [2.0, 3.0]], 40)
    np.testing.assert_allclose(rows.mean(axis=0), [1.0, -1.0], atol=1e-13)
    np.testing.assert_allclose(np.cov(rows.T), [[1.0, 2.0], [2.0, 13.0]], atol=1e-12)


@MORE_ROWS_OR_COLUMNS
def test_independent_features_differ_by_means_and_deviations(num_features):
    first, second = (sample_of(MEANS[i], np.diag(DEVIATIONS[i]), 40 - i, seed=i) for i in range(2))
    basis = among_more_features(num_features, 3)
    assert frechet_distance(first @ basis.T, second @ basis.T) == pytest.approx(DIAGONAL, abs=1e-9)


def test_two_correlated_features_by_hand():
    """The trace of the root of a 2 x 2 matrix with eigenvalues a, b is sqrt(a + b + 2 sqrt(ab))."""
    roots = np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [-1.0, 2.0]])
    # covariances [[4, 2], [2, 2]] and [[1, -1], [-1, 5]], with traces 6 and 6, determinants 4 and 4;
    # their product [[2, 6], [0, 8]] has trace 10 and determinant 16
    expected = 6 + 6 - 2 * np.sqrt(10 + 2 * 4)
    first, second = (sample_of([0.0, 0.0], root, 30, seed=i) for i, root in enumerate(roots))
    assert frechet_distance(first, second) == pytest.approx(expected, abs=1e-9)


@MORE_ROWS_OR_COLUMNS
def test_a_stretched_sample_is_as_far_as_its_rows_were_moved(num_features):
    """A map with a symmetric positive matrix A moves a distribution by the shortest way: E |x - A x - b|^2."""
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(3, 3))
    stretch = drawn @ drawn.T + 0.1 * np.eye(3)
    first = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 3))
    first = sample_of([0.0, 1.0, 2.0], np.linalg.cholesky(np.cov(first.T)), 50)
    second = first @ stretch + [1.0, 0.0, -1.0]
    moved = first - second
    expected = np.sum(moved.mean(axis=0) ** 2) + np.sum(moved.var(axis=0, ddof=1))
    basis = among_more_features(num_features, 3)
    # a permutation: it is the distributions that are compared, not rows in pairs
    assert frechet_distance(first @ basis.T, second[::-1] @ basis.T) == pytest.approx(expected, abs=1e-9)


@MORE_ROWS_OR_COLUMNS
@pytest.mark.parametrize("constants", [(0.0, 0.0), (2.0, 2.0), (1.0, 4.0)], ids=["nothing", "the same", "another"])
def test_a_feature_that_never_varies_adds_what_its_means_differ_by(num_features, constants):
    basis = among_more_features(num_features, 3)
    sides = []
    for i, constant in enumerate(constants):
        rows = sample_of(MEANS[i], np.diag(DEVIATIONS[i]), 40, seed=i)
        sides.append(np.column_stack([rows @ basis.T, np.full(40, constant)]))
    expected = DIAGONAL + (constants[1] - constants[0]) ** 2
    assert frechet_distance(*sides) == pytest.approx(expected, abs=1e-9)


def test_features_that_follow_from_others_do_no_harm():
    first, second = (sample_of(MEANS[i], np.diag(DEVIATIONS[i]), 40, seed=i) for i in range(2))
    twice = np.hstack([np.eye(3), np.eye(3)]) / np.sqrt(2)  # orthonormal rows: distances stay
    assert frechet_distance(first @ twice, second @ twice) == pytest.approx(DIAGONAL, abs=1e-6)


@pytest.mark.parametrize("shape", [(40, 5), (10, 30), (2, 3)])
def test_a_set_is_at_no_distance_from_itself(shape):
    rows = np.random.default_rng(0).normal(size=shape)
    assert frechet_distance(rows, rows[::-1]) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("count", "reference_count", "num_features"), [(30, 50, 4), (5, 40, 8), (6, 4, 20)])
def test_distance_is_symmetric(count, reference_count, num_features):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(count, num_features)), rng.normal(1.0, 2.0, size=(reference_count, num_features))
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first), rel=1e-9)


def test_single_precision_features_are_computed_in_double():
    rows = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    far = rows + np.float32(4096.0)  # exact for the mean, but its square would swallow the variances
    assert frechet_distance(far, far[::-1]) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("count", "reference_count"), [(1, 5), (5, 1), (0, 5), (1, 1)])
def test_one_image_has_no_covariance(count, reference_count):
    assert np.isnan(frechet_distance(np.ones((count, 3)), np.ones((reference_count, 3))))


def test_extrapolation_by_hand_is_the_distance_and_half_of_what_quarters_have_less_than_halves():
    """The line of least squares through d1, d2 and d4 at 1, 2 and 4 is at 0 as high as d1 + (d2 - d4) / 2."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(24, 3)), rng.normal(size=(17, 3))
    halves = np.mean([frechet_distance(first[part::2], second[part::2]) for part in range(2)])
    quarters = np.mean([frechet_distance(first[part::4], second[part::4]) for part in range(4)])
    expected = frechet_distance(first, second) + (halves - quarters) / 2
    assert extrapolated_distance(first, second) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("count", [24, 64])
def test_extrapolation_of_small_samples_is_nearer_to_the_truth(count):
    truth = 2.0 + 8 * 0.25  # means differ by sqrt(2), eight deviations by a half
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        first, second = rng.normal(size=(count, 8)), rng.normal(0.5, 1.5, size=(count, 8))
        found.append([frechet_distance(first, second), extrapolated_distance(first, second)])
    plain, extrapolated = np.mean(found, axis=0)
    assert plain - truth > 0.3
    assert abs(extrapolated - truth) < (plain - truth) / 3


@pytest.mark.parametrize(("count", "reference_count"), [(7, 20), (20, 7)])
def test_fewer_than_eight_images_cannot_be_extrapolated(count, reference_count):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(count, 2)), rng.normal(size=(reference_count, 2))
    assert np.isnan(extrapolated_distance(first, second))
    assert np.isfinite(extrapolated_distance(np.tile(first, (3, 1)), np.tile(second, (3, 1))))


def test_distances_are_of_all_images_and_their_intervals_of_parts_left_out():
    comparison = Comparison(made_up(40), made_up(30, seed=1))
    features, reference = comparison.evaluated.features, comparison.reference.features
    left_out = [frechet_distance(features[i], reference[j]) for i, j in comparison.leaving_parts_out()]
    expected = jackknife_interval(frechet_distance(features, reference), left_out)
    found = estimate(comparison)["fid"]
    np.testing.assert_allclose(
        [found.value, found.low, found.high], [expected.value, expected.low, expected.high], rtol=1e-9
    )


def test_extrapolation_does_not_depend_on_how_classes_follow_each_other():
    """Two far classes, on one side in turns: every second image would be of one class."""
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    in_turns, other = (made_up(80, features=rng.normal(size=(80, 3)) + 20 * labels[:, None]) for _ in range(2))
    by_class = other.take(np.argsort(labels, kind="stable"))
    assert abs(estimate_extrapolated(Comparison(in_turns, by_class))["fid_infinity"].value) < 1


def test_seven_images_have_no_extrapolated_distance_but_the_plain_one():
    for sides in ((made_up(7), made_up(30)), (made_up(30), made_up(7))):
        assert np.isfinite(estimate(Comparison(*sides))["fid"].value)
        with pytest.raises(MetricUnavailable, match="8"):
            estimate_extrapolated(Comparison(*sides))
