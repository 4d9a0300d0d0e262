"""Boxes around lesions: where they lie in the stored image, when it is known where they lie in the source image.

A box is (x_min, y_min, x_max, y_max): x to the right, y downwards, whole numbers at the edges of pixels.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

Box: TypeAlias = tuple[float, float, float, float]

# What part of a source image of so many pixels the stored square shows: left, top, width, height. One for each of
# `images.FITS`; a padded image shows more than there is.
WINDOWS: dict[str, Callable[[int, int], tuple[float, float, float, float]]] = {
    "crop": lambda width, height: _central_square(min(width, height), width, height),
    "pad": lambda width, height: _central_square(max(width, height), width, height),
    "stretch": lambda width, height: (0, 0, width, height),
}


def boxes_in_stored(boxes: Sequence[Sequence[float]], size: tuple[int, int], fit: str) -> tuple[Box, ...]:
    """Returns where boxes lie in the stored square, as fractions of its side in [0, 1], the largest box first.

    A box that a crop cuts is cut too; one of which nothing is left is left out.

    Arguments:
      boxes: in pixels of the source image.
      size: width and height of the source image in pixels.
      fit: a name of `WINDOWS`.
    """
    left, top, width, height = WINDOWS[fit](*size)
    corners = np.reshape(np.asarray(boxes, np.float64), (-1, 2, 2))
    fractions = np.clip((corners - (left, top)) / (width, height), 0, 1).astype(np.float32)  # shards hold float32
    order = np.argsort(-np.prod(fractions[:, 1] - fractions[:, 0], axis=1), kind="stable")
    return tuple(tuple(box.ravel().tolist()) for box in fractions[order] if (box[0] < box[1]).all())


def first_outside(boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> Sequence[float] | None:
    """Returns the first box that leaves an image of (width, height) pixels, None if all lie inside."""
    width, height = size
    leaving = (box for box in boxes if min(box) < 0 or box[2] > width or box[3] > height)
    return next(leaving, None)


def whole_boxes(values: Sequence[float]) -> tuple[Box, ...]:
    """Returns the boxes that follow each other in a stored feature; numbers that make no whole box are left out."""
    return tuple(tuple(values[begin : begin + 4]) for begin in range(0, len(values) - 3, 4))


def problem_of_boxes(values: Sequence[float]) -> str | None:
    """Returns what is wrong with the numbers of a stored feature, None if they are sound."""
    if len(values) % 4:
        return f"holds {len(values)} numbers, and every box has four"
    for box in whole_boxes(values):
        x_min, y_min, x_max, y_max = box
        if not (0 <= x_min < x_max <= 1 and 0 <= y_min < y_max <= 1):
            return f"holds the box {describe_box(box)}, which is inverted or not within 0 and 1"
    return None


def describe_box(box: Sequence[float]) -> str:
    """Returns a box as text, such as (10, 20.5, 30, 40)."""
    return f"({', '.join(f'{value:.6g}' for value in box)})"


def _central_square(side: int, width: int, height: int) -> tuple[float, float, float, float]:
    return (width - side) / 2, (height - side) / 2, side, side
