"""How good the samples of one image are: the error of its reconstruction, their diversity, their distance to it.

Images are uint8; distances are root mean square differences of values in [-1, 1], so that black lies 2 from white.
"""

import numpy as np

_HALF_RANGE = 127.5


def source_distances(images: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Returns the distance of every image to the image that it was made from `[N]`; 0 for a copy.

    The distance of the reconstruction to the image is its error.

    Arguments:
      images: uint8 `[N, H, W, C]`.
      sources: uint8 of the same shape, or `[1, H, W, C]`: one of all.
    """
    differences = (images.astype(np.float64) - sources) / _HALF_RANGE
    return np.sqrt(np.square(differences).mean(axis=(1, 2, 3)))


def sample_diversity(samples: np.ndarray, image: np.ndarray) -> float | None:
    """Returns the standard deviation of a pixel over samples, on average, over that of the image's own pixels.

    Both are of intensities, the means of the channels. 0 where all samples are equal; the paper reports 0.5 for samples
    from the coarsest scale and 0.35 from the next one. Shaham et al. 2019, section 3.

    Arguments:
      samples: uint8 `[N, H, W, C]` of one image.
      image: uint8 `[H, W, C]`, which they were made from.

    Returns:
      None for an image of one intensity.
    """
    intensities, own = samples.mean(axis=3, dtype=np.float64), image.mean(axis=2, dtype=np.float64)
    return float(intensities.std(axis=0).mean() / own.std()) if own.std() > 0 else None
