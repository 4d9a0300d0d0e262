"""Boxes around the lesions of a mask."""

import numpy as np
from scipy import ndimage

from melgan.layers.box_map import MAX_BOXES


def boxes_of_masks(masks: np.ndarray) -> np.ndarray:
    """Returns the boxes of the largest spots of each mask, float32 `[N, MAX_BOXES, 4]`; those that lack are zeros.

    Pixels that touch at a corner are of one spot, as in the boxes of real images.
    A box is x_min, y_min, x_max, y_max as fractions of the sides, at the edges of pixels; the largest box comes first.

    Arguments:
      masks: `[N, H, W]`, other than 0 where lesions are.
    """
    boxes = np.zeros((len(masks), MAX_BOXES, 4), np.float32)
    height, width = masks.shape[1:]
    for own, mask in zip(boxes, masks, strict=True):
        spots = ndimage.find_objects(ndimage.label(mask, structure=np.ones((3, 3)))[0])
        corners = np.array([(x.start, y.start, x.stop, y.stop) for y, x in spots]).reshape(-1, 4)
        areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
        largest = corners[np.argsort(-areas, kind="stable")[:MAX_BOXES]]
        own[: len(largest)] = largest / (width, height, width, height)
    return boxes
