"""Boxes as outlines of lesions: the boxes around the spots of a mask, and a mask that is filled in boxes."""

import numpy as np
from scipy import ndimage

from melgan.layers.box_map import MAX_BOXES


def boxes_of_spots(mask: np.ndarray) -> np.ndarray:
    """Returns the boxes around the spots of a mask, the largest first, zeros where there are fewer.

    Arguments:
      mask: `[S, S]`, 0 where no lesion is. Pixels that touch at a corner are of one spot.

    Returns:
      float32 `[MAX_BOXES, 4]`: x_min, y_min, x_max, y_max as fractions of the sides.
    """
    spots, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    corners = [(columns.start, rows.start, columns.stop, rows.stop) for rows, columns in ndimage.find_objects(spots)]
    found = np.reshape(corners, (-1, 4)) / mask.shape[0]
    largest = np.argsort(-(found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1]), kind="stable")[:MAX_BOXES]
    boxes = np.zeros((MAX_BOXES, 4), np.float32)
    boxes[: len(largest)] = found[largest]
    return boxes


def mask_of_boxes(boxes: np.ndarray, side: int) -> np.ndarray:
    """Returns a mask, uint8 `[S, S]`: 255 where the middle of a pixel lies in a box, elsewhere 0.

    Arguments:
      boxes: `[M, 4]`, as `boxes_of_spots` gives them.
      side: of the mask in pixels.
    """
    middles = (np.arange(side) + 0.5) / side
    x_min, y_min, x_max, y_max = boxes.T[..., None]
    rows, columns = (y_min <= middles) & (middles < y_max), (x_min <= middles) & (middles < x_max)
    return np.where((rows[:, :, None] & columns[:, None, :]).any(axis=0), 255, 0).astype(np.uint8)
