"""The image in a record of anyone's: encoded, or raw numbers whose shape is known."""

import math
import struct
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.images import RefusedImage, open_image, refusing, to_rgb

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8")  # JPEG, PNG, GIF; WebP has a length before its own
_SMALLEST_RAW_SIDE = 8


@dataclass(frozen=True)
class ImageHeader:
    """The header of an encoded image; `mode` is Pillow's, such as RGB or L."""

    format: str
    width: int
    height: int
    mode: str


def is_encoded(data: bytes) -> bool:
    """Returns whether bytes begin as a JPEG, PNG, GIF or WebP file does, damaged later on or not."""
    return data.startswith(_SIGNATURES) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP")


def image_header(data: bytes) -> ImageHeader | None:
    """Returns the header of JPEG, PNG, GIF or WebP bytes, None for anything else."""
    if not is_encoded(data):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with open_image(data) as image:
                return ImageHeader(image.format or "?", *image.size, image.mode)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError, struct.error):
        return None


def decode_image(data: bytes) -> np.ndarray:
    """Returns encoded bytes as a uint8 image `[H, W, 3]`.

    Raises:
      RefusedImage: for truncated, damaged or bomb-sized data.
    """
    with refusing(), open_image(data) as image:
        return np.asarray(to_rgb(image))


def find_image_feature(examples: Sequence[Mapping[str, list]]) -> str | None:
    """Returns the feature that holds the image of all the examples given, None if there is none.

    Encoded images come first, then raw bytes, then lists of numbers, which must have `image` or `pixel` in their
    names, because an embedding may have a square length too.

    Raises:
      DataError: if several features of a kind may be it and none, or more than one, has `image` in its name.
    """
    names = sorted(examples[0]) if examples else []
    for is_image in (_is_image_file, _is_raw_bytes, _is_list_of_pixels):
        found = [name for name in names if all(is_image(example, name) for example in examples)]
        named = [name for name in found if "image" in name.lower()]
        best = named if len(found) > 1 and len(named) == 1 else found
        if len(best) > 1:
            raise DataError(f"several features may be images ({', '.join(best)}); choose one with --image_feature")
        if best:
            return best[0]
    return None


def raw_shape(example: Mapping[str, list], name: str) -> tuple[int, int, int] | None:
    """Returns `(height, width, channels)` of a raw image, None if its size fits none.

    The shape comes from the features height, width and depth (or channels), else it is square with 1 or 3 channels. No
    number is both a square and three times a square, so there is no doubt.
    """
    size = _raw_size(example[name])
    height, width = (_number(example, name) for name in ("height", "width"))
    depth = _number(example, "depth") or _number(example, "channels")
    for channels in (depth,) if depth in (1, 3, 4) else (3, 1):
        if height and width and size == height * width * channels:
            return height, width, channels
    for channels in (1, 3):
        side = math.isqrt(size // channels)
        if side >= _SMALLEST_RAW_SIDE and side * side * channels == size:
            return side, side, channels
    return None


def raw_image(example: Mapping[str, list], name: str, *, low: float = 0, high: float = 255) -> np.ndarray:
    """Returns a raw image as uint8 `[H, W, 3]`.

    The three values of a pixel in a square may lie together or apart (as in the CIFAR files): the reading in
    which neighbours differ less is taken.

    Arguments:
      example: of `example.parse`.
      name: the feature: one value of raw bytes, or a list of numbers.
      low: the number that is shown black; raw bytes reach from 0 to 255.
      high: the number that is shown white.

    Raises:
      RefusedImage: if its size fits no shape.
    """
    shape = raw_shape(example, name)
    if shape is None:
        raise RefusedImage(f"{_raw_size(example[name])} values fit no image")
    values = example[name]
    if isinstance(values[0], bytes):
        pixels = np.frombuffer(values[0], np.uint8)
    else:
        scaled = (np.asarray(values, np.float64) - low) * (255 / ((high - low) or 1))
        pixels = np.clip(np.rint(np.nan_to_num(scaled)), 0, 255).astype(np.uint8)
    height, width, channels = shape
    together = pixels.reshape(shape)
    if channels > 1:
        apart = pixels.reshape(channels, height, width).transpose(1, 2, 0)
        together = min(together, apart, key=_roughness)
    return np.repeat(together, 3, axis=2) if channels == 1 else together[:, :, :3]


def is_text(data: bytes) -> bool:
    """Returns whether bytes are printable UTF-8."""
    try:
        return data.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _is_image_file(example: Mapping[str, list], name: str) -> bool:
    values = example.get(name, [])
    return len(values) == 1 and isinstance(values[0], bytes) and image_header(values[0]) is not None


def _is_raw_bytes(example: Mapping[str, list], name: str) -> bool:
    values = example.get(name, [])
    is_bytes = len(values) == 1 and isinstance(values[0], bytes)
    return is_bytes and raw_shape(example, name) is not None and not is_text(values[0])


def _is_list_of_pixels(example: Mapping[str, list], name: str) -> bool:
    values = example.get(name, [])
    named = any(word in name.lower() for word in ("image", "pixel"))
    return named and len(values) > 1 and not isinstance(values[0], bytes) and raw_shape(example, name) is not None


def _raw_size(values: list) -> int:
    return len(values[0]) if values and isinstance(values[0], bytes) else len(values)


def _number(example: Mapping[str, list], name: str) -> int:
    """Returns the value of a feature `name` or `image/name`, 0 where there is none."""
    for key in (name, f"image/{name}"):
        values = example.get(key, [])
        if len(values) == 1 and isinstance(values[0], int):
            return values[0]
    return 0


def _roughness(image: np.ndarray) -> float:
    pixels = image.astype(np.int16)
    return float(np.abs(np.diff(pixels, axis=0)).mean() + np.abs(np.diff(pixels, axis=1)).mean())
