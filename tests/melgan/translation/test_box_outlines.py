"""Boxes as outlines of lesions: worked out by hand."""

import numpy as np
import pytest

from melgan.layers.box_map import MAX_BOXES
from melgan.translation.box_outlines import boxes_of_spots, mask_of_boxes


def mask_with(*spots: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros((8, 8), np.uint8)
    for spot in spots:
        mask[spot] = 255
    return mask


def test_the_largest_box_comes_first_and_zeros_fill_up():
    boxes = boxes_of_spots(mask_with(np.s_[0:1, 0:2], np.s_[3:7, 4:6]))
    assert (boxes.shape, boxes.dtype) == ((MAX_BOXES, 4), np.float32)
    np.testing.assert_array_equal(boxes[:2], [[4 / 8, 3 / 8, 6 / 8, 7 / 8], [0, 0, 2 / 8, 1 / 8]])
    assert not boxes[2:].any()


def test_pixels_that_touch_at_a_corner_are_one_spot():
    boxes = boxes_of_spots(mask_with(np.s_[1:3, 1:3], np.s_[3:4, 3:4]))
    np.testing.assert_array_equal(boxes[:2], [[1 / 8, 1 / 8, 4 / 8, 4 / 8], [0, 0, 0, 0]])


def test_of_more_spots_than_boxes_the_largest_have_one():
    spots = [np.s_[2 * row : 2 * row + 1, 2 * column : 2 * column + 1] for row in range(4) for column in range(4)]
    boxes = boxes_of_spots(mask_with(*spots, np.s_[6:7, 4:8]))
    np.testing.assert_array_equal(boxes[0], [4 / 8, 6 / 8, 1, 7 / 8])
    assert boxes.any(axis=1).all()


def test_boxes_around_filled_boxes_are_the_boxes():
    mask = mask_with(np.s_[0:1, 0:2], np.s_[3:7, 4:6])
    np.testing.assert_array_equal(mask_of_boxes(boxes_of_spots(mask), 8), mask)


@pytest.mark.parametrize(("begin", "first"), [(0.24, 1), (0.26, 1), (0.3, 1), (0.38, 2)])
def test_a_pixel_is_lesion_if_its_middle_lies_in_a_box(begin, first):
    """Of four pixels the middles are 1/8, 3/8, 5/8 and 7/8."""
    mask = mask_of_boxes(np.array([[begin, 0.0, 0.7, 0.2]]), 4)
    np.testing.assert_array_equal(mask[0] > 0, [first <= column <= 2 for column in range(4)])
    assert not mask[1:].any()
