"""Bidirectional similarity of images to one image: whether they consist of its patches, and of all of them.

Simakov et al. 2008, "Summarizing visual data using bidirectional similarity", eq. 1, of images at their own size.
"""

from dataclasses import dataclass

import numpy as np

from melgan.metrics.neighbours import nearest

SIZE = 7  # of patches in pixels, as published


@dataclass(frozen=True)
class PatchDistances:
    """How far patches of images and of one image lie from each other, root mean squares in grey levels, `[N]` each.

    `coherence` is the mean distance of an image's patches from the nearest of the one image: 0 if nothing in it is new.
    `completeness` is that of the one image's patches from the nearest of an image: 0 if nothing of it is missing.
    """

    coherence: np.ndarray
    completeness: np.ndarray


def patch_distances(images: np.ndarray, image: np.ndarray, *, size: int = SIZE, stride: int = 1) -> PatchDistances:
    """Returns the distances of images to one image.

    Arguments:
      images: uint8 `[N, H, W, C]`.
      image: uint8 `[K, L, C]`, of any size.
      size: side of the patches in pixels.
      stride: pixels from one patch that is looked for to the next; it is looked for in all places.
    """
    whole = _patches(image, size, 1)
    wanted = _patches(image, size, stride)
    coherence = [_mean_distance(_patches(each, size, stride), whole) for each in images]
    completeness = [_mean_distance(wanted, _patches(each, size, 1)) for each in images]
    return PatchDistances(np.array(coherence), np.array(completeness))


def _patches(image: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Returns the patches of an image `[H, W, C]` as vectors `[P, C * size * size]`."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(0, 1))[::stride, ::stride]
    return windows.reshape(-1, image.shape[2] * size * size).astype(np.float32)


def _mean_distance(patches: np.ndarray, others: np.ndarray) -> float:
    """Returns the mean distance of patches from the nearest of others, root mean squares over their values."""
    return float(nearest(patches, others)[1].mean() / np.sqrt(patches.shape[1]))
