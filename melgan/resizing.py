"""Bicubic resizing by constant matrices, one for each axis.

Products of matrices compile everywhere, have exact gradients, and give every size without crops.
"""

from functools import cache

import numpy as np
import tensorflow as tf

_SHARPNESS = -0.5  # of Keys' kernel: third-order accurate
_SUPPORT = 2.0  # of the kernel, in pixels of the coarser grid


@cache
def resizing_matrix(size: int, new_size: int) -> np.ndarray:
    """Returns the float32 matrix `[new_size, size]` that resizes a row of pixels; every row of it sums to 1.

    Where an image shrinks the kernel is as wide as the new pixels, so that nothing aliases; what of it lies beyond the
    border is left out. Keys 1981, "Cubic convolution interpolation for digital image processing", eq. 4 and 15.
    """
    scale = size / new_size
    stretch = max(scale, 1.0)
    centres = (np.arange(new_size) + 0.5) * scale
    distances = (np.arange(size) + 0.5 - centres[:, None]) / stretch
    weights = _kernel(np.abs(distances))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def resize(images: tf.Tensor, new_size: int) -> tf.Tensor:
    """Returns square images `[N, S, S, C]` as `[N, new_size, new_size, C]`; values may leave their range at edges."""
    matrix = tf.constant(resizing_matrix(images.shape[1], new_size), images.dtype)
    return tf.einsum("yh,nhwc,xw->nyxc", matrix, images, matrix)


def _kernel(distances: np.ndarray) -> np.ndarray:
    """Returns the weights of pixels at distances of 0 or more."""
    a, x = _SHARPNESS, distances
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, near, np.where(x < _SUPPORT, far, 0.0))
