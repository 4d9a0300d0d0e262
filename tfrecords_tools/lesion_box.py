"""A rough box around the lesion of a dermoscopy-like image: the spot that is darkest against the skin at the rim.

In steps, on a picture of 64 x 64 pixels:
1. A morphological closing takes hairs away, and a Gaussian filter noise.
2. What is nearly black and touches the rim of the image is the dark corner of a dermatoscope, or padding, and no skin.
3. The colour of the skin is the median at the rim of the rest.
4. Depth is by how much a pixel is darker than the skin, as a distance over the channels that are darker: a red or blue
   lesion is darker in the others. Otsu's threshold (1979) on the depth parts lesion and skin.
5. Of the connected spots, the one with the largest sum of depths counts, less the farther it is from the centre.
6. A spot that is hardly darker than the rest, or is tiny, or nearly all of the image, is no lesion.

It finds one lesion. It goes wrong where a lesion is lighter than the skin, is in several pieces or covers half of the
rim, and where ink, a coloured sticker or dense hair is darker. A physician's box is better wherever there is one.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

from tfrecords_tools.boxes import Box

MARGIN = 0.05  # of the box's width and height, added on each side

_SIDE = 64
_HAIR = 5  # pixels: what is narrower and dark is a hair
_DARK = 50  # the brightest channel of what may be a dark corner, in grey levels
_SOFT = 2  # pixels at the edge of a dark corner that are not seen well
_RIM = 5  # pixels of the rim that the colour of the skin is taken from
_CENTRE_SIGMA = 0.25  # of the side: how fast spots count less off the centre
_LEAST_CONTRAST = 14  # grey levels between the spot and the rest
_LEAST_AREA, _MOST_AREA = 0.004, 0.85  # shares of the image that may be lesion


def find_lesion(image: np.ndarray) -> Box | None:
    """Returns the box of the lesion as shares of the sides, or None if none stands out.

    Arguments:
      image: uint8 `[H, W, 3]`.
    """
    small = Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    shaved = ndimage.grey_closing(np.asarray(small), size=(_HAIR, _HAIR, 1))
    pixels = ndimage.gaussian_filter(shaved.astype(np.float64), sigma=(1, 1, 0))
    visible = _visible(pixels)
    if visible.sum() < 2:
        return None
    depth = np.linalg.norm(np.maximum(_skin_colour(pixels, visible) - pixels, 0), axis=2) * visible
    spot = _central_spot(depth, visible & (depth > _otsu_threshold(depth[visible])))
    rest = visible & ~spot
    is_lesion = _LEAST_AREA <= spot.mean() <= _MOST_AREA and rest.any()
    if not is_lesion or depth[spot].mean() - depth[rest].mean() < _LEAST_CONTRAST:
        return None
    return _box_with_margin(spot)


def _visible(pixels: np.ndarray) -> np.ndarray:
    """Returns which pixels are no dark corner or padding, bool `[64, 64]`."""
    framed = np.pad(pixels.max(axis=2) < _DARK, 1, constant_values=True)
    spots, _ = ndimage.label(framed)
    corners = (spots == spots[0, 0])[1:-1, 1:-1]
    return ~ndimage.binary_dilation(corners, iterations=_SOFT)


def _skin_colour(pixels: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Returns the median colour `[3]` of the rim of what is visible."""
    rim = visible & ~ndimage.binary_erosion(visible, iterations=_RIM)
    return np.median(pixels[rim], axis=0)


def _otsu_threshold(values: np.ndarray) -> float:
    """Returns the value that parts numbers `[N]` into two groups of the largest variance between them. Otsu 1979."""
    ordered = np.sort(values)
    below = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    mean_below, mean_above = sums[:-1] / below, (sums[-1] - sums[:-1]) / (len(ordered) - below)
    between = below * (len(ordered) - below) * (mean_above - mean_below) ** 2
    return float(ordered[np.argmax(between)])


def _central_spot(depth: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """Returns the connected part of bool `[64, 64]` that counts most."""
    spots, count = ndimage.label(ndimage.binary_opening(lesion))
    offsets = (np.arange(_SIDE) + 0.5) / _SIDE - 0.5
    centre = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * _CENTRE_SIGMA**2))
    sums = ndimage.sum(depth * centre, spots, np.arange(1, count + 1))
    return spots == 1 + np.argmax(sums) if count else np.zeros_like(lesion)


def _box_with_margin(spot: np.ndarray) -> Box:
    rows, columns = (np.flatnonzero(spot.any(axis=axis)) for axis in (1, 0))
    low = np.array([columns[0], rows[0]]) / _SIDE
    high = np.array([columns[-1] + 1, rows[-1] + 1]) / _SIDE
    margin = MARGIN * (high - low)
    corners = np.clip([low - margin, high + margin], 0, 1).astype(np.float32)
    return tuple(corners.ravel().tolist())
