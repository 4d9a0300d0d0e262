import numpy as np
import pytest
from scipy.spatial.distance import cdist

from melgan.metrics import neighbours
from melgan.metrics.similarities import compare, cubic_kernel

RNG = np.random.default_rng(0)
EVALUATED, REFERENCE = RNG.normal(size=(23, 6)), RNG.normal(0.3, size=(17, 6))
EVALUATED_PARTS, REFERENCE_PARTS = np.arange(23) % 3, np.arange(17) % 3


def kernel_sums(first, second, first_parts, second_parts, same=False):
    """Sums of the kernel between three parts, from the whole matrix."""
    kernel = (first @ second.T / 6 + 1) ** 3
    if same:
        np.fill_diagonal(kernel, 0)
    return [[kernel[np.ix_(first_parts == own, second_parts == other)].sum() for other in range(3)] for own in range(3)]


def radii(vectors, nearest):
    return np.sort(cdist(vectors, vectors), axis=1)[:, nearest]  # the nearest of all is the vector itself


def test_kernel_by_hand():
    np.testing.assert_array_equal(cubic_kernel(np.array([[0.0, 4.0], [-4.0, 2.0]]), 2), [[1, 27], [-1, 8]])


@pytest.mark.parametrize("block", [1, 5, 17, 100])
@pytest.mark.parametrize("nearest", [1, 3, 16])
def test_blocks_of_any_size_give_what_whole_matrices_give(block, nearest, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    found = compare(
        EVALUATED, REFERENCE, nearest=nearest, evaluated_parts=EVALUATED_PARTS, reference_parts=REFERENCE_PARTS
    )
    for sums, expected in (
        (found.evaluated_sums, kernel_sums(EVALUATED, EVALUATED, EVALUATED_PARTS, EVALUATED_PARTS, same=True)),
        (found.reference_sums, kernel_sums(REFERENCE, REFERENCE, REFERENCE_PARTS, REFERENCE_PARTS, same=True)),
        (found.cross_sums, kernel_sums(EVALUATED, REFERENCE, EVALUATED_PARTS, REFERENCE_PARTS)),
    ):
        np.testing.assert_allclose(sums, expected, rtol=1e-10)
    check_neighbourhoods(found.neighbourhoods, EVALUATED, REFERENCE, nearest)
    assert len(found.left_out) == 3
    if nearest < 16:  # of 17 vectors less 6, none has a 16th neighbour
        for part, left in enumerate(found.left_out):
            check_neighbourhoods(left, EVALUATED[part != EVALUATED_PARTS], REFERENCE[part != REFERENCE_PARTS], nearest)


def check_neighbourhoods(found, evaluated, reference, nearest):
    distances = cdist(evaluated, reference)
    in_reference_ball = distances <= radii(reference, nearest)
    np.testing.assert_array_equal(found.balls_around, in_reference_ball.sum(axis=1))
    np.testing.assert_array_equal(found.within_reference, in_reference_ball.any(axis=1))
    np.testing.assert_array_equal(found.covered, distances.min(axis=0) <= radii(reference, nearest))
    np.testing.assert_array_equal(found.within_evaluated, (distances <= radii(evaluated, nearest)[:, None]).any(axis=0))


def test_neighbourhoods_of_these_tests_are_neither_empty_nor_full():
    found = compare(EVALUATED, REFERENCE, nearest=1).neighbourhoods
    for fractions in (found.within_reference, found.covered, found.within_evaluated):
        assert 0 < fractions.mean() < 1


def test_all_are_one_part_by_default():
    found = compare(EVALUATED, REFERENCE, nearest=2)
    assert found.left_out == ()
    parted = compare(EVALUATED, REFERENCE, nearest=2, evaluated_parts=EVALUATED_PARTS, reference_parts=REFERENCE_PARTS)
    for name in ("evaluated_sums", "reference_sums", "cross_sums"):
        np.testing.assert_allclose(getattr(found, name), [[getattr(parted, name).sum()]], rtol=1e-12)


def test_single_precision_vectors_are_computed_in_double():
    far = (EVALUATED + 1000).astype(np.float32)
    found = compare(far, far + np.float32(0.5), nearest=1).neighbourhoods
    distances = cdist(far, far + np.float32(0.5))
    np.testing.assert_array_equal(found.covered, distances.min(axis=0) <= radii(far, 1))


def test_vectors_stay_as_they_are():
    evaluated, reference = EVALUATED.copy(), REFERENCE.copy()
    compare(evaluated, reference, nearest=2)
    np.testing.assert_array_equal(evaluated, EVALUATED)
    np.testing.assert_array_equal(reference, REFERENCE)
