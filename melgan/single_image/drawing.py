"""Images from trained generators: samples, the reconstruction, and what becomes of an image put in at a scale.

Shaham et al. 2019, sections 3 and 4, and the authors' code.
"""

from collections.abc import Sequence

import numpy as np
import scipy.ndimage
import tensorflow as tf

from melgan.resizing import resize
from melgan.single_image.stack import GeneratorStack, MakeNoise
from tfrecords_tools.foundation.settings import require

# Of the blended border of what was put in, as fractions of the side: 7 and 5 px of the 250 that the authors work at.
_DILATION, _BLUR = 7 / 250, 5 / 250


def draw_samples(stack: GeneratorStack, indices: Sequence[int], *, seed: int, start_scale: int = 0) -> tf.Tensor:
    """Returns images `[N, S, S, C]`, each a function of (seed, index).

    Arguments:
      stack: trained.
      indices: of the images.
      seed: of the noise.
      start_scale: the first scale with noise of its own; those below it make the reconstruction. From the coarsest, 0,
        the layout varies too; the finer it is, the nearer samples are to the image.

    Raises:
      ConfigError: for a scale that there is not.
    """
    require_scale(stack, "start_scale", start_scale)
    below = tf.repeat(stack.reconstruction_below(start_scale), len(indices), axis=0)
    return stack.climb(below, noise_of(seed, indices), first=start_scale, last=len(stack.sizes))


def reconstruct(stack: GeneratorStack) -> tf.Tensor:
    """Returns the reconstruction of the image `[1, S, S, C]`."""
    return stack.reconstruction_below(len(stack.sizes))


def inject(stack: GeneratorStack, images: tf.Tensor, indices: Sequence[int], *, scale: int, seed: int) -> tf.Tensor:
    """Returns images with the details of another one: that which a stack was trained on.

    They lose what the scale below does not show, and get it anew: pasted lesions take the texture of the skin around.

    Arguments:
      stack: trained.
      images: in [-1, 1], `[N, S, S, C]`, of the size of the finest scale.
      indices: of the noise of each, as of samples.
      scale: at which they are put in, from 1 on.
      seed: of the noise.

    Raises:
      ConfigError: for a scale that there is not.
    """
    require_scale(stack, "scale", scale, least=1)
    coarse = resize(resize(images, stack.sizes[scale - 1]), stack.sizes[scale])
    return stack.climb(coarse, noise_of(seed, indices), first=scale, last=len(stack.sizes))


def blending_weights(masks: np.ndarray) -> np.ndarray:
    """Returns how much of each pixel comes from what was drawn, `[N, H, W]` in [0, 1], the rest is background.

    That is 1 where something was pasted and a little around it, and falls smoothly to 0.

    Arguments:
      masks: bool `[N, H, W]`, where something was pasted.
    """
    side = masks.shape[1]
    radius = max(round(_DILATION * side), 1)
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = rows**2 + columns**2 <= radius**2
    dilated = [scipy.ndimage.binary_dilation(mask, disk).astype(np.float32) for mask in masks]
    blurred = np.stack([scipy.ndimage.gaussian_filter(mask, _BLUR * side) for mask in dilated])
    most = blurred.max(axis=(1, 2), keepdims=True)
    return np.divide(blurred, most, out=np.zeros_like(blurred), where=most > 0)


def blend(drawn: tf.Tensor, background: tf.Tensor, weights: np.ndarray) -> tf.Tensor:
    """Returns drawn images over a background, both `[N, H, W, C]`, by the weights of the former `[N, H, W]`."""
    return background + tf.constant(weights[..., None], drawn.dtype) * (drawn - background)


def noise_of(seed: int, indices: Sequence[int]) -> MakeNoise:
    """Returns the source of noise of some images, that of each a function of (seed, index, scale)."""

    def make_noise(scale: int, shape: tuple[int, int, int]) -> tf.Tensor:
        own = [np.random.default_rng([seed, index, scale]).normal(size=shape) for index in map(int, indices)]
        return tf.constant(np.stack(own), tf.float32)

    return make_noise


def require_scale(stack: GeneratorStack, name: str, scale: int, *, least: int = 0) -> None:
    """Raises ConfigError, naming the setting, for a scale that a stack does not have."""
    last = len(stack.sizes) - 1
    require(least <= scale <= last, name, scale, f"from {least} to {last}, the finest scale")
