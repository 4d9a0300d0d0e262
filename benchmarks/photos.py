"""Photographs to measure with, drawn: a lesion, skin texture, and the noise of a camera in red, green and blue."""

import io

import numpy as np
from PIL import Image

from tfrecords_tools.sources.phantom import Traits, draw_lesion

_TEXTURE, _TEXTURE_PIXELS = 4.0, 12  # standard deviation in grey levels, and size of a grain
_NOISE, _NOISE_PIXELS = 2.1, 2  # a camera measures each colour in every second pixel at most


def draw_photo(width: int, height: int, seed: int) -> np.ndarray:
    """Returns a uint8 image `[height, width, 3]`; equal arguments draw equal pixels."""
    rng = np.random.default_rng(seed)
    lesion = Image.fromarray(draw_lesion(Traits(*rng.normal(size=4)), rng.random(), rng))
    photo = np.asarray(lesion.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32).copy()
    photo += _TEXTURE * _grain(width, height, _TEXTURE_PIXELS, rng)[..., None]
    for channel in range(3):
        photo[..., channel] += _NOISE * _grain(width, height, _NOISE_PIXELS, rng)
    return np.clip(np.rint(photo), 0, 255).astype(np.uint8)


def camera_jpeg(photo: np.ndarray) -> bytes:
    """Returns a photograph as JPEG 4:2:0; 6000x4000 pixels take 2.5 MB, the mean of the Kaggle set's 108 GB."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=90, subsampling="4:2:0")
    return buffer.getvalue()


def _grain(width: int, height: int, pixels: int, rng: np.random.Generator) -> np.ndarray:
    coarse = rng.standard_normal((-(-height // pixels), -(-width // pixels)), dtype=np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
