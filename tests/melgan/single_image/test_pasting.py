"""Lesions in the skin of others: by hand on squares of one colour."""

import numpy as np

from melgan.single_image.pasting import dilated, pasted, without_lesion

SIDE = 40
SKIN, LESION, OTHER = (200, 150, 120), (60, 30, 20), (90, 20, 90)


def square(first, last):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[first:last, first:last] = True
    return mask


def image_with(mask, lesion, skin=SKIN):
    return np.where(mask[..., None], np.uint8(lesion), np.uint8(skin))


def test_the_skin_around_a_lesion_fills_its_place():
    mask = square(10, 25)
    np.testing.assert_array_equal(without_lesion(image_with(mask, LESION), mask), image_with(~(mask | ~mask), LESION))


def test_what_is_far_from_a_lesion_stays():
    rng = np.random.default_rng(0)
    image, mask = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), square(10, 25)
    filled = without_lesion(image, mask)
    np.testing.assert_array_equal(filled[~dilated(mask)], image[~dilated(mask)])
    assert filled[mask].std() < image[mask].std() / 2


def test_a_lesion_that_is_all_of_an_image_stays():
    image = image_with(square(0, SIDE), LESION)
    np.testing.assert_array_equal(without_lesion(image, square(0, SIDE)), image)


def test_a_mask_grows_by_the_skin_that_its_lesion_shades():
    """By 1.2 px: upwards, downwards and to the sides, and not across corners."""
    grown = dilated(square(10, 12))
    assert grown.sum() == 4 + 8
    assert not grown[9, 9]
    assert not dilated(square(0, 0)).any()


def test_a_pasted_lesion_takes_the_place_of_the_other():
    own, other = square(5, 15), square(20, 35)
    image, changed = pasted(image_with(own, LESION), own, image_with(other, OTHER, skin=(0, 255, 0)), other)
    np.testing.assert_array_equal(image, image_with(other, OTHER))
    np.testing.assert_array_equal(changed, other | dilated(own))
