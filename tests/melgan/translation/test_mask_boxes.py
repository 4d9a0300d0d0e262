import numpy as np

from melgan.layers.box_map import MAX_BOXES
from melgan.translation.mask_boxes import boxes_of_masks


def test_boxes_by_hand_the_largest_first():
    mask = np.zeros((8, 16), np.uint8)
    mask[1, 2] = 255
    mask[4:7, 8:16] = 1
    boxes = boxes_of_masks(mask[None])
    assert (boxes.shape, boxes.dtype) == ((1, MAX_BOXES, 4), np.float32)
    np.testing.assert_array_equal(boxes[0, 0], [8 / 16, 4 / 8, 16 / 16, 7 / 8])
    np.testing.assert_array_equal(boxes[0, 1], [2 / 16, 1 / 8, 3 / 16, 2 / 8])
    assert not boxes[0, 2:].any()


def test_a_mask_without_lesion_has_none_and_one_of_many_spots_the_largest():
    masks = np.zeros((3, 32, 32), np.uint8)
    masks[1] = 255
    masks[2, ::2, ::2] = 255
    masks[2, 20:24, 20:24] = 255
    boxes = boxes_of_masks(masks)
    assert not boxes[0].any()
    np.testing.assert_array_equal(boxes[1, 0], [0, 0, 1, 1])
    np.testing.assert_array_equal(boxes[2, 0], np.array([20, 20, 25, 25]) / 32)
    assert boxes[2].any(axis=1).all()


def test_no_masks_have_no_boxes():
    assert boxes_of_masks(np.zeros((0, 8, 8), np.uint8)).shape == (0, MAX_BOXES, 4)
