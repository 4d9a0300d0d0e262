"""Changes of masks from which lesions of other forms, sizes and places are drawn; EDITS table.

Shin et al. 2018 (arXiv 1807.10225), section 2.3, move, enlarge and shrink tumours in a mask and put them into others.
An edit takes a mask `[H, W]` uint8, a random generator and a strength, and returns such a mask, 0 or 255. At a strength
of 0 it changes nothing but by mirroring; at 1 it goes as far as its constant says.

A lesion neither leaves the picture nor vanishes. An edit that loses a spot of the mask, brings it to the rim or makes
it tiny is drawn again, and after some attempts left out. A mask that reaches the rim is a lesion that the picture cuts:
it is only mirrored, since everything else would move its straight edge into the picture.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import TypeAlias

import numpy as np
from scipy import ndimage

from tfrecords_tools.foundation.errors import look_up

Edit: TypeAlias = Callable[[np.ndarray, np.random.Generator, float], np.ndarray]

TRANSPLANT = "transplant"  # the mask of one image on the skin of another; not an edit of a mask alone
LARGEST_TURN = 180.0  # degrees
LARGEST_SHIFT = 0.15  # of the side, along each axis
LARGEST_SCALE = 1.6  # of the diameter, and its inverse
DEFORMATION = 0.03  # of the side: the deviation by which the outline is displaced

_ATTEMPTS = 10
_LEAST_AREA = 0.004  # of the picture
_KNOTS = 5  # a side, between which displacements are interpolated


def mirrored(mask: np.ndarray) -> np.ndarray:
    """Returns a mask, left and right exchanged."""
    return np.ascontiguousarray(mask[:, ::-1])


def turned(mask: np.ndarray, degrees: float) -> np.ndarray:
    """Returns a mask turned around the middle of its box, counterclockwise."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return _transformed(mask, np.array([[cosine, sine], [-sine, cosine]]))


def shifted(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Returns a mask moved by so many pixels, downwards and to the right."""
    return ndimage.shift(mask, (rows, columns), order=0)


def scaled(mask: np.ndarray, factor: float) -> np.ndarray:
    """Returns a mask whose diameter is multiplied by a factor; the middle of its box stays."""
    return _transformed(mask, np.eye(2) / factor)


def deformed(mask: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """Returns a mask displaced by smooth fields.

    Arguments:
      mask: `[H, W]`.
      displacements: by how many pixels, along rows and columns, at K x K knots `[2, K, K]`, the outermost of which lie
        at the corners.
    """
    factors = [size / knots for size, knots in zip(mask.shape, displacements.shape[1:], strict=True)]
    fields = np.stack([ndimage.zoom(knots, factors, order=3, mode="nearest") for knots in displacements])
    return _sampled(mask, np.indices(mask.shape) - fields)


def _mirror(mask: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Mirrors every other mask."""
    del strength
    return mirrored(mask) if rng.random() < 0.5 else mask


def _turn(mask: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    return turned(mask, strength * rng.uniform(-LARGEST_TURN, LARGEST_TURN))


def _shift(mask: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    reach = strength * LARGEST_SHIFT * np.array(mask.shape)
    return shifted(mask, *np.rint(rng.uniform(-reach, reach)).astype(int))


def _scale(mask: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    return scaled(mask, LARGEST_SCALE ** (strength * rng.uniform(-1, 1)))


def _deform(mask: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    return deformed(mask, strength * DEFORMATION * mask.shape[0] * rng.normal(size=(2, _KNOTS, _KNOTS)))


def _keeping_lesions(edit: Edit, mask: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Returns the mask of the first attempt that keeps every spot in the picture; the mask itself if there is none."""
    if _touches_rim(mask):
        return mask
    spots, area = _count_spots(mask), min(np.count_nonzero(mask), _LEAST_AREA * mask.size)
    for _ in range(_ATTEMPTS):
        edited = edit(mask, rng, strength)
        if not _touches_rim(edited) and _count_spots(edited) >= spots and np.count_nonzero(edited) >= area:
            return edited
    return mask


# In this order they are applied. Their random numbers decide the images of a seed and never change.
EDITS: dict[str, Edit] = {
    "mirror": _mirror,
    "turn": partial(_keeping_lesions, _turn),
    "scale": partial(_keeping_lesions, _scale),
    "deform": partial(_keeping_lesions, _deform),
    "shift": partial(_keeping_lesions, _shift),
}


def require_known_edits(edits: Collection[str]) -> None:
    """Raises ConfigError unless all are names of EDITS, or `TRANSPLANT`."""
    for name in edits:
        look_up(EDITS | {TRANSPLANT: None}, name, "edits")


def edited(mask: np.ndarray, edits: Collection[str], rng: np.random.Generator, strength: float) -> np.ndarray:
    """Returns a mask changed by each of some edits, in the order of the table, whatever the order of the names.

    Arguments:
      mask: `[H, W]` uint8, 0 or 255.
      edits: names of EDITS; others are left out.
      rng: decides everything random.
      strength: 0 or greater.
    """
    for name, edit in EDITS.items():
        if name in edits:
            mask = edit(mask, rng, strength)
    return mask


def _transformed(mask: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Returns a mask whose places around the middle of its box are those of the mask times a matrix `[2, 2]`."""
    middle = _middle(mask)
    places = np.indices(mask.shape).reshape(2, -1) - middle[:, None]
    return _sampled(mask, (matrix @ places + middle[:, None]).reshape(2, *mask.shape))


def _middle(mask: np.ndarray) -> np.ndarray:
    """Returns the middle of the box, row and column, in places of pixels; of the picture where there is no lesion."""
    found = np.argwhere(mask)
    if not len(found):
        return (np.array(mask.shape) - 1) / 2
    return (found.min(axis=0) + found.max(axis=0)) / 2


def _sampled(mask: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Returns the mask at places `[2, H, W]`, row and column, of which those outside are none of a lesion."""
    values = ndimage.map_coordinates(mask.astype(np.float32), places, order=1)
    return np.where(values >= 127.5, 255, 0).astype(np.uint8)


def _touches_rim(mask: np.ndarray) -> bool:
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def _count_spots(mask: np.ndarray) -> int:
    return ndimage.label(mask)[1]
