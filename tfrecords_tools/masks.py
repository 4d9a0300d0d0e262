"""Masks of lesions: what a mask file may be, where it lies in the stored image, and what is stored of it.

A mask is bool `[H, W]`, True at lesions. It is stored as a PNG of one bit a pixel, which shows lesions white.
"""

import io

import numpy as np
from PIL import Image

from tfrecords_tools.boxes import Box, boxes_in_stored
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.images import FITS, Encoding, RefusedImage, open_image, refusing, to_rgb

FORMAT = "PNG"
_REMEDY = "store it as a PNG with two grey levels, black around the lesion and white inside"
HALF = 128  # of the grey levels of a mean of black and white


def read_mask(data: bytes, place: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """Returns the mask of a source image.

    Any PNG with two grey levels is one, whatever its mode: its brighter level is lesion. Transparent pixels are black.

    Arguments:
      data: the file.
      place: of the file, for the message.
      size: width and height of its image in pixels; None where they are not known.

    Raises:
      DataError: if it cannot be read, has another size, or shows anything but lesions and the rest.
    """
    try:
        with refusing(), open_image(data) as image:
            kind, is_grey = image.format, image.mode in ("1", "L") and not image.has_transparency_data
            grey = (image if is_grey else to_rgb(image)).convert("L")
    except RefusedImage as refusal:
        raise DataError(f"{place}: the mask cannot be read ({refusal}); {_REMEDY}") from refusal
    if kind != FORMAT:
        raise DataError(f"{place}: the mask is a {kind} file, whatever its name ends in; {_REMEDY}")
    if size not in (None, grey.size):
        raise DataError(
            f"{place}: the mask has {grey.width} x {grey.height} pixels, the image {size[0]} x {size[1]} upright; draw "
            "it in the size of the image, or remove it"
        )
    levels = np.flatnonzero(grey.histogram())
    if len(levels) == 1:
        amount = "full" if levels[0] else "empty"
        raise DataError(f"{place}: the mask is {amount}; outline the lesion, or remove the file where there is none")
    if len(levels) > 2:
        raise DataError(f"{place}: the mask has {len(levels)} grey levels, from {levels[0]} to {levels[-1]}; {_REMEDY}")
    return np.asarray(grey) == levels[1]


def mask_in_stored(mask: np.ndarray, encoding: Encoding) -> np.ndarray | None:
    """Returns a mask of a source image where the stored square shows it, bool `[S, S]`; None if no lesion is left.

    A stored pixel is lesion if at least half of the area that it shows is.
    """
    size = (encoding.image_size, encoding.image_size)
    stored = np.asarray(FITS[encoding.fit](as_picture(mask), size, Image.Resampling.BOX)) >= HALF
    return stored if stored.any() else None


def encode_mask(mask: np.ndarray) -> bytes:
    """Returns a mask as a PNG of one bit a pixel; equal masks give equal bytes."""
    buffer = io.BytesIO()
    as_picture(mask).convert("1", dither=Image.Dither.NONE).save(buffer, FORMAT)
    return buffer.getvalue()


def decode_mask(data: bytes) -> np.ndarray:
    """Returns a stored mask.

    Raises:
      RefusedImage: if it is none.
    """
    with refusing(), open_image(data) as image:
        kind, mode, mask = image.format, image.mode, np.array(image)
    if (kind, mode) != (FORMAT, "1"):
        raise RefusedImage(f"a {kind} of mode {mode}, no {FORMAT} of one bit a pixel")
    return mask


def problem_of_mask(data: bytes, side: int) -> str | None:
    """Returns what is wrong with a stored mask of an image of so many pixels a side, None if it is sound."""
    try:
        mask = decode_mask(data)
    except RefusedImage as refusal:
        return f"does not decode ({refusal})"
    if mask.shape != (side, side):
        return f"has {mask.shape[1]} x {mask.shape[0]} pixels, the image {side} x {side}"
    return None if mask.any() else "shows no lesion"


def boxes_of_mask(mask: np.ndarray) -> tuple[Box, ...]:
    """Returns the boxes of the connected parts of a mask `[S, S]`, as fractions of its side, the largest box first.

    Pixels that touch at a corner are connected.
    """
    from scipy import ndimage  # noqa: PLC0415  SciPy costs every worker 28 MB

    parts, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    boxes = [(columns.start, rows.start, columns.stop, rows.stop) for rows, columns in ndimage.find_objects(parts)]
    return boxes_in_stored(boxes, mask.shape[::-1], "stretch")


def as_picture(mask: np.ndarray) -> Image.Image:
    """Returns a mask as a grey picture, 0 or 255."""
    return Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
