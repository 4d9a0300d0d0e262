"""The lesion of one image in the skin of another, for `drawing.inject` to harmonise; Shaham et al. 2019, section 4."""

import numpy as np
from scipy import ndimage

_MARGIN, _BLUR = 0.03, 0.04  # of the side: skin so near to a lesion is shaded by it; what fills its place is smooth


def without_lesion(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns an image whose lesion is filled with the skin around it: of each pixel the nearest, made smooth.

    Arguments:
      image: uint8 `[S, S, 3]`.
      mask: bool `[S, S]`, where its lesion is.
    """
    covered = dilated(mask)
    if covered.all():
        return image
    rows, columns = ndimage.distance_transform_edt(covered, return_distances=False, return_indices=True)
    nearest = image[rows, columns].astype(np.float32)
    smooth = ndimage.gaussian_filter(nearest, (_BLUR * len(image), _BLUR * len(image), 0), mode="nearest")
    return np.where(covered[..., None], np.rint(smooth), image).astype(np.uint8)


def dilated(mask: np.ndarray) -> np.ndarray:
    """Returns a mask, bool `[S, S]`, with the skin around it that a lesion shades."""
    return ndimage.distance_transform_edt(~mask) <= _MARGIN * len(mask) if mask.any() else mask


def pasted(
    skin: np.ndarray, own_mask: np.ndarray, lesion: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns an image with the lesion of another in place of its own, and where it was changed.

    Arguments:
      skin: uint8 `[S, S, 3]`.
      own_mask: bool `[S, S]`, where its own lesion is.
      lesion: uint8 `[S, S, 3]`, the other image.
      mask: bool `[S, S]`, where the lesion of the other is, and will be.

    Returns:
      The image, uint8 `[S, S, 3]`, and a mask, bool `[S, S]`.
    """
    image = np.where(mask[..., None], lesion, without_lesion(skin, own_mask))
    return image, mask | dilated(own_mask)
