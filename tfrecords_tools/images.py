"""Image bytes of any kind -> JPEG bytes of one size: scaled decode, pass-through, and what is refused."""

import io
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from tfrecords_tools.errors import DataError

ImageFile.LOAD_TRUNCATED_IMAGES = False  # a truncated file is refused, never filled with grey

# How an image that is not square becomes square.
FITS: dict[str, Callable[[Image.Image, tuple[int, int]], Image.Image]] = {
    "crop": lambda image, size: ImageOps.fit(image, size, Image.Resampling.LANCZOS),
    "pad": lambda image, size: ImageOps.pad(image, size, Image.Resampling.LANCZOS),
    "stretch": lambda image, size: image.resize(size, Image.Resampling.LANCZOS),
}


class RefusedImage(DataError):
    """An image that cannot be converted; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How images are stored: square side in pixels, a name of `FITS`, JPEG quality 1-100 without subsampling."""

    image_size: int
    fit: str = "crop"
    quality: int = 95


def to_jpeg(data: bytes, encoding: Encoding) -> bytes:
    """Returns the image as an RGB JPEG of `[image_size, image_size]` pixels.

    A JPEG that already has this size and is upright RGB is passed through byte for byte: encoding it again would
    cost quality. Larger JPEGs are decoded at a reduced scale of at least twice the size asked for.

    Raises:
      RefusedImage: for empty, truncated, unidentified or bomb-sized data.
    """
    if not data:
        raise RefusedImage("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _convert(data, encoding)
    except UnidentifiedImageError as error:
        raise RefusedImage("not an image in a format that Pillow reads") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise RefusedImage(f"too many pixels: {error}") from error
    except (OSError, SyntaxError, ValueError, EOFError, TypeError, struct.error) as error:
        raise RefusedImage(f"damaged image: {error}") from error


def _convert(data: bytes, encoding: Encoding) -> bytes:
    size = (encoding.image_size, encoding.image_size)
    with Image.open(io.BytesIO(data)) as image:
        upright = image.getexif().get(0x0112, 1) == 1
        if image.format == "JPEG" and image.mode == "RGB" and image.size == size and upright:
            image.load()
            return data
        image.draft("RGB", (2 * size[0], 2 * size[1]))
        image.load()
        image.info.pop("exif", None)  # exif_transpose would write it anew, and fail where another tag is odd
        rgb = to_rgb(image if upright else ImageOps.exif_transpose(image))
        return encode_jpeg(np.asarray(FITS[encoding.fit](rgb, size)), encoding.quality)


def to_rgb(image: Image.Image) -> Image.Image:
    """Returns an 8-bit RGB image: 16-bit values scaled rather than clipped, transparency over black."""
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image, dtype=np.float64) / 257.0
        image = Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    return image.convert("RGB")


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """Returns a uint8 image `[H, W, 3]` as JPEG bytes without chroma subsampling."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()
