import numpy as np
import pytest

from melgan.metrics.dihedral import NUM_VIEWS, views_of

CORNERS = np.array([[1, 2], [3, 4]], np.uint8)[None, :, :, None]


def test_eight_views_by_hand():
    views = [view[0, :, :, 0].tolist() for view in views_of(CORNERS)]
    assert views == [
        [[1, 2], [3, 4]],
        [[2, 4], [1, 3]],
        [[4, 3], [2, 1]],
        [[3, 1], [4, 2]],
        [[2, 1], [4, 3]],
        [[1, 3], [2, 4]],
        [[3, 4], [1, 2]],
        [[4, 2], [3, 1]],
    ]
    assert len(views) == NUM_VIEWS


@pytest.mark.parametrize("index", range(NUM_VIEWS))
def test_views_of_a_view_are_the_same_eight(index):
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 3), dtype=np.uint8)
    views = list(views_of(images))
    assert {view.tobytes() for view in views_of(views[index])} == {view.tobytes() for view in views}


def test_views_keep_images_and_channels_apart():
    images = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)
    for view in views_of(images):
        assert view.shape == images.shape
        np.testing.assert_array_equal(np.sort(view.reshape(2, 9, 3), axis=1), images.reshape(2, 9, 3))
