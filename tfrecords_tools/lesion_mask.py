"""A rough mask of the lesion of a dermoscopy-like image: the spot that is darkest against the skin at the rim.

In steps, on a picture of 64 x 64 pixels:
1. A morphological closing takes hairs away, and a Gaussian filter noise.
2. What is nearly black and touches the rim of the image is the dark corner of a dermatoscope, or padding, and no skin.
3. The colour of the skin is the median at the rim of the rest.
4. Depth is by how much a pixel is darker than the skin, as a distance over the channels that are darker: a red or blue
   lesion is darker in the others. Otsu's threshold (1979) on the depth parts lesion and skin. Pixels count less the
   farther they are from the centre, by a Gaussian, so that ink and stickers at the rim do not set the threshold.
5. Of the connected spots, the one counts that has the largest sum of depths times this weight, times its mean weight.
6. A spot that is hardly darker than the rest, or is tiny, or nearly all of the image, is no lesion.

It finds one lesion. It goes wrong where a lesion is lighter than the skin, is in several pieces or covers half of the
rim, or where dense hair is darker. A physician's mask is better wherever there is one.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

from tfrecords_tools.masks import HALF, as_picture

SIDE = 64  # of the picture that is searched, in pixels

_HAIR = 5  # pixels: what is narrower and dark is a hair
_DARK = 50  # the brightest channel of what may be a dark corner, in grey levels
_SOFT = 2  # pixels at the edge of a dark corner that are not seen well
_RIM = 5  # pixels of the rim that the colour of the skin is taken from
_CENTRE_SIGMA = 0.25  # of the side: how fast pixels count less off the centre
_LEAST_CONTRAST = 14  # grey levels between the spot and the rest
_LEAST_AREA, _MOST_AREA = 0.004, 0.85  # fractions of the image that may be lesion


def find_mask(image: np.ndarray, side: int) -> np.ndarray | None:
    """Returns the mask of the lesion in a square, bool `[side, side]`, or None if none stands out.

    Holes in the spot are filled.

    Arguments:
      image: uint8 `[S, S, 3]`, of any S.
      side: of the mask in pixels.
    """
    spot = find_spot(image)
    if spot is None:
        return None
    filled = as_picture(ndimage.binary_fill_holes(spot))
    mask = np.asarray(filled.resize((side, side), Image.Resampling.BILINEAR)) >= HALF
    return mask if mask.any() else None


def find_spot(image: np.ndarray) -> np.ndarray | None:
    """Returns the spot of the lesion, bool `[64, 64]`, or None if none stands out.

    Arguments:
      image: uint8 `[H, W, 3]`.
    """
    small = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX)
    shaved = ndimage.grey_closing(np.asarray(small), size=(_HAIR, _HAIR, 1))
    pixels = ndimage.gaussian_filter(shaved.astype(np.float64), sigma=(1, 1, 0))
    visible = _visible(pixels)
    if visible.sum() < 2:
        return None
    depth = np.linalg.norm(np.maximum(_skin_colour(pixels, visible) - pixels, 0), axis=2) * visible
    centrality = _centrality()
    threshold = _otsu_threshold(depth[visible], centrality[visible])
    spot = _central_spot(depth, visible & (depth > threshold), centrality)
    rest = visible & ~spot
    is_lesion = _LEAST_AREA <= spot.mean() <= _MOST_AREA and rest.any()
    if not is_lesion or depth[spot].mean() - depth[rest].mean() < _LEAST_CONTRAST:
        return None
    return spot


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


def _centrality() -> np.ndarray:
    """Returns how much each pixel counts `[64, 64]`: 1 at the centre, and less off it."""
    offsets = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    return np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * _CENTRE_SIGMA**2))


def _otsu_threshold(values: np.ndarray, weights: np.ndarray) -> float:
    """Returns the value that parts weighted numbers `[N]` so that the variance between both parts is largest."""
    order = np.argsort(values)
    masses = np.cumsum(weights[order])
    sums = np.cumsum(values[order] * weights[order])
    below, above = masses[:-1], masses[-1] - masses[:-1]
    between = below * above * ((sums[-1] - sums[:-1]) / above - sums[:-1] / below) ** 2
    return float(values[order][np.argmax(between)])


def _central_spot(depth: np.ndarray, lesion: np.ndarray, centrality: np.ndarray) -> np.ndarray:
    """Returns the connected part of bool `[64, 64]` that counts most."""
    spots, count = ndimage.label(ndimage.binary_opening(lesion))
    numbers = np.arange(1, count + 1)
    scores = ndimage.sum(depth * centrality, spots, numbers) * ndimage.mean(centrality, spots, numbers)
    return spots == 1 + np.argmax(scores) if count else np.zeros_like(lesion)
