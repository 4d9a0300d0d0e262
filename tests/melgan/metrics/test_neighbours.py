import numpy as np
import pytest
from scipy.spatial.distance import cdist

from melgan.metrics import neighbours
from melgan.metrics.neighbours import blocks, nearest, squared_distances, squared_norms

QUERIES, POINTS = np.random.default_rng(0).normal(size=(23, 5)), np.random.default_rng(1).normal(size=(17, 5))

BLOCKS = pytest.mark.parametrize("block", [1, 4, 17, 100])


@pytest.mark.parametrize("count", [0, 1, 4, 5, 11])
def test_blocks_cover_every_row_once(count, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 4)
    assert [row for rows in blocks(count) for row in range(count)[rows]] == list(range(count))
    assert all(rows.stop - rows.start <= 4 for rows in blocks(count))


def test_squared_distances_are_those_of_scipy():
    found = squared_distances(QUERIES @ POINTS.T, squared_norms(QUERIES), squared_norms(POINTS))
    np.testing.assert_allclose(found, cdist(QUERIES, POINTS, "sqeuclidean"), rtol=1e-12)


def test_rounding_makes_no_distance_negative():
    far = QUERIES + 1e6
    assert (squared_distances(far @ far.T, squared_norms(far), squared_norms(far)) >= 0).all()


@BLOCKS
def test_nearest_point_is_that_of_scipy_in_blocks_of_any_size(block, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    rows, distances = nearest(QUERIES.astype(np.float32), POINTS)
    expected = cdist(QUERIES.astype(np.float32), POINTS)
    np.testing.assert_array_equal(rows, expected.argmin(axis=1))
    np.testing.assert_allclose(distances, expected.min(axis=1), rtol=1e-12)


@BLOCKS
def test_of_equal_points_the_first_is_nearest(block, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    rows, distances = nearest(POINTS[[3, 5]], np.concatenate([POINTS, POINTS]))
    np.testing.assert_array_equal(rows, [3, 5])
    np.testing.assert_allclose(distances, 0, atol=1e-7)
