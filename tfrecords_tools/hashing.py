"""Perceptual hashes: equal, or nearly so, for one photograph in several sizes, encodings and brightnesses.

The hash is the sign pattern of the lowest 24 x 24 coefficients of the discrete cosine transform of a small grey
square (Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", with more coefficients and
no median). The 8 x 8 hashes in common use cannot tell one dark spot on light skin, or one round cell, from another.
Here two images are one photograph if few of the 16 x 16 lowest signs differ and few of all 24 x 24: the first alone
takes small spots beside a ruler for each other, the second alone is slow to search.
"""

import functools

import numpy as np

from tfrecords_tools.images import Encoding, RefusedImage, open_image, to_jpeg

# A hash is 24 * 24 bits, of which the first 16 * 16 are the coarse ones, in 16 bands of 16 bits.
COARSE_SIDE, SIDE = 16, 24
HASH_BYTES, COARSE_BYTES = SIDE * SIDE // 8, COARSE_SIDE * COARSE_SIDE // 8
# Most bits in which two images of one photograph differ: coarse ones, and all. Measured on 2,576 skin lesions at 256
# px, 2,285 blood cells at 57-255 px and 800 drawn lesions: the closest different images have 52, 38 and 43 coarse bits
# between them, and 151, 125 and 139 of all; JPEG quality 60 makes up to 26 and 78, half the size 14 and 46.
# 31 is also what the search of `duplicates.py` needs.
MAX_COARSE_BITS, MAX_BITS = 31, 120

_SQUARE = Encoding(image_size=64, fit="stretch")
# Standard deviation in grey levels under which an image is blank: its signs would be noise.
_BLANK = 1.0


def perceptual_hash(data: bytes) -> bytes | None:
    """Returns a hash of `HASH_BYTES` bytes of what an image shows, or None.

    It hardly changes with size, aspect ratio, encoding and modest brightness; it does with flips, rotations (other
    than by the EXIF tag, which is followed) and crops. A large JPEG is decoded at 1/8 of its size.

    Arguments:
      data: an image file, whole.

    Returns:
      None for what cannot be converted either (see `tfrecords_tools.images`), and for a blank image.
    """
    try:
        square = to_jpeg(data, _SQUARE)
    except RefusedImage:
        return None  # named and counted when it is converted
    with open_image(square) as image:
        grey = np.asarray(image.convert("L"), dtype=np.float64)
    if grey.std() < _BLANK:
        return None
    cosines = _cosines(SIDE, len(grey))
    signs = (cosines @ (grey - grey.mean()) @ cosines.T > 1e-6).ravel()  # what is zero but for rounding counts as zero
    return np.packbits(signs[_bit_order()], bitorder="little").tobytes()


@functools.cache
def _cosines(frequencies: int, length: int) -> np.ndarray:
    """Returns the basis `[frequencies, length]` of the discrete cosine transform (type II)."""
    return np.cos(np.pi / length * np.outer(np.arange(frequencies), np.arange(length) + 0.5))


@functools.cache
def _bit_order() -> np.ndarray:
    """Returns which coefficient each bit is the sign of `[SIDE * SIDE]`: the coarse ones, then the others.

    The coarse ones are dealt to the bands in the order of their frequency: low frequencies, which are alike in most
    images, would leave a band of their own with few values.
    """
    rows, columns = np.divmod(np.arange(SIDE * SIDE), SIDE)
    by_frequency = np.lexsort([rows, rows + columns])
    is_coarse = np.maximum(rows, columns)[by_frequency] < COARSE_SIDE
    coarse = by_frequency[is_coarse].reshape(COARSE_SIDE, COARSE_SIDE).T.ravel()
    return np.concatenate([coarse, by_frequency[~is_coarse]])
