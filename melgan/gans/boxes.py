"""Boxes of a generator: which training images they are taken from, and how others are given."""

from collections.abc import Sequence

import numpy as np

from melgan.layers.box_map import MAX_BOXES
from melgan.layers.box_table import ROWS
from tfrecords_tools.foundation.settings import require


def draw_rows(boxes: np.ndarray, labels: np.ndarray, num_classes: int, seed: int) -> np.ndarray:
    """Returns the boxes of `ROWS` images of each class, `[num_classes, ROWS, MAX_BOXES, 4]`.

    Images are drawn without replacement; where a class has fewer, each is there equally often, or once more. A class
    without images has no boxes.

    Arguments:
      boxes: of all training images `[N, MAX_BOXES, 4]`.
      labels: of these `[N]`.
      num_classes: how many classes there are.
      seed: of the draw.
    """
    rows = np.zeros((num_classes, ROWS, *boxes.shape[1:]), boxes.dtype)
    for label in range(num_classes):
        order = np.random.default_rng([seed, label]).permutation(np.flatnonzero(labels == label))
        if len(order):
            rows[label] = boxes[np.resize(order, ROWS)]
    return rows


def whole_rows(boxes: Sequence[Sequence[float]]) -> np.ndarray:
    """Returns boxes of as many images, one each, as `[N, MAX_BOXES, 4]`, float32: the others are zeros."""
    padded = np.zeros((len(boxes), MAX_BOXES, 4), np.float32)
    padded[:, 0] = boxes
    return padded


def require_room_for_choice(latent_dim: int) -> None:
    """Raises ConfigError unless a number of the latents is left for the image beside the one for its boxes."""
    require(latent_dim >= 2, "latent_dim", latent_dim, "at least 2, of which one chooses the boxes")
