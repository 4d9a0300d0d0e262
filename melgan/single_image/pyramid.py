"""The scales of one image, from the coarsest on. Shaham et al. 2019, section 2, and the authors' code."""

import math
from collections.abc import Sequence

import numpy as np

from melgan.images import to_signed_float
from melgan.resizing import resize


def pyramid_sizes(image_size: int, min_size: int, scale_factor: float) -> tuple[int, ...]:
    """Returns the sides of a square image at all scales in pixels, the coarsest first.

    There are as many scales as the wanted factor needs, and one more; the factor between them is then such that the
    coarsest has exactly `min_size`.

    Arguments:
      image_size: side of the image, at least `min_size`.
      min_size: side at the coarsest scale.
      scale_factor: wanted ratio of the sides of one scale and of the next finer one, between 0 and 1.
    """
    last = math.ceil(math.log(min_size / image_size) / math.log(scale_factor)) + 1
    factor = (min_size / image_size) ** (1 / last)
    sides = (image_size * factor ** (last - scale) for scale in range(last + 1))
    return tuple(math.ceil(round(side, 6)) for side in sides)  # 25.000000000000004 is 25


def real_pyramid(image: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Returns an image at all scales, float32 `[1, S, S, C]` in [-1, 1] each.

    Arguments:
      image: uint8 `[H, H, C]`.
      sizes: sides of the scales.
    """
    whole = to_signed_float(image[None])
    return [np.clip(resize(whole, size), -1.0, 1.0) for size in sizes]
