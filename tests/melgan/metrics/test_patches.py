import numpy as np
import pytest

from melgan.metrics.patches import patch_distances
from tests.melgan.metrics.made_up_samples import made_up


def by_hand(image, other, size):
    """The mean distance of every patch of an image from the nearest of another, one after the other."""

    def places(of):
        return [(row, column) for row in range(of.shape[0] - size + 1) for column in range(of.shape[1] - size + 1)]

    def patch(of, place):
        return of[place[0] : place[0] + size, place[1] : place[1] + size].astype(float)

    nearest = [
        min(np.sqrt(np.mean((patch(image, place) - patch(other, there)) ** 2)) for there in places(other))
        for place in places(image)
    ]
    return np.mean(nearest)


def test_an_image_is_coherent_with_itself_and_complete():
    image = made_up(1, seed=0).images[0]
    found = patch_distances(image[None], image)
    np.testing.assert_allclose([found.coherence, found.completeness], 0, atol=1e-4)


def test_distances_are_those_of_every_patch_from_the_nearest():
    rng = np.random.default_rng(0)
    images, image = rng.integers(0, 256, (2, 6, 7, 3), np.uint8), rng.integers(0, 256, (8, 5, 3), np.uint8)
    found = patch_distances(images, image, size=3)
    np.testing.assert_allclose(found.coherence, [by_hand(each, image, 3) for each in images], rtol=1e-6)
    np.testing.assert_allclose(found.completeness, [by_hand(image, each, 3) for each in images], rtol=1e-6)


def test_a_grey_level_more_everywhere_is_a_distance_of_one():
    image = np.full((9, 9, 3), 50, np.uint8)
    found = patch_distances(np.stack([image, image + np.uint8(1), image + np.uint8(20)]), image)
    np.testing.assert_allclose(found.coherence, [0, 1, 20], atol=1e-4)
    np.testing.assert_allclose(found.completeness, [0, 1, 20], atol=1e-4)


def test_what_is_missing_is_not_complete_and_what_is_new_not_coherent():
    """A cut of a picture has nothing new, but not all; the picture, beside its cut, has all and something new."""
    whole = made_up(1, seed=0).images[0]
    cut = whole[:16, :16]
    found = patch_distances(cut[None], whole)
    assert found.coherence[0] == pytest.approx(0, abs=1e-4)
    assert found.completeness[0] > 5
    back = patch_distances(whole[None], cut)
    assert (back.coherence[0], back.completeness[0]) == (found.completeness[0], found.coherence[0])


def test_patches_that_are_further_apart_are_looked_for_in_all_places():
    whole = made_up(1, seed=0).images[0]
    found = patch_distances(whole[None, 1:20, 1:20], whole, stride=4)
    assert found.coherence[0] == pytest.approx(0, abs=1e-4)
    dense = patch_distances(whole[None, 1:20, 1:20], whole)
    assert found.completeness[0] == pytest.approx(dense.completeness[0], rel=0.3)


def test_no_images():
    found = patch_distances(made_up(1, seed=0).images[:0], made_up(1, seed=0).images[0])
    assert (len(found.coherence), len(found.completeness)) == (0, 0)
