"""A rough box around the lesion of a dermoscopy-like image: around the spot of `lesion_mask`, with a margin."""

import numpy as np

from tfrecords_tools.boxes import Box
from tfrecords_tools.lesion_mask import SIDE, find_spot

MARGIN = 0.05  # of the box's width and height, added on each side


def find_lesion(image: np.ndarray) -> Box | None:
    """Returns the box of the lesion as fractions of the sides, or None if none stands out.

    Arguments:
      image: uint8 `[H, W, 3]`.
    """
    spot = find_spot(image)
    return None if spot is None else _box_with_margin(spot)


def _box_with_margin(spot: np.ndarray) -> Box:
    rows, columns = (np.flatnonzero(spot.any(axis=axis)) for axis in (1, 0))
    low = np.array([columns[0], rows[0]]) / SIDE
    high = np.array([columns[-1] + 1, rows[-1] + 1]) / SIDE
    margin = MARGIN * (high - low)
    corners = np.clip([low - margin, high + margin], 0, 1).astype(np.float32)
    return tuple(corners.ravel().tolist())
