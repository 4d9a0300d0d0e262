"""Fits one Gaussian a class to the latents of an encoder. Mariani et al. 2018 (https://arxiv.org/abs/1803.09655).

The authors take the covariance as it is, of rank n - 1 at most for a class of n images; here it is shrunk towards a
multiple of the identity by the rule of Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional
covariance matrices", which shrinks the less the more images there are.
"""

from collections.abc import Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf
from sklearn.covariance import ledoit_wolf

from melgan.images import to_signed_float
from melgan.layers.class_gaussians import ClassGaussians
from melgan.layers.dropout import apply_network
from tfrecords_tools.foundation.errors import ConfigError

# Fraction of the mean variance of all latents that is added to every variance: a class of one or two images is not
# shrunk, and its covariance has no Cholesky factor otherwise.
_RIDGE = 1e-6


def class_gaussians(latents: np.ndarray, labels: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns means `[num_classes, D]` and Cholesky factors `[num_classes, D, D]` of shrunk covariances, in float64.

    Arguments:
      latents: of all images `[N, D]`.
      labels: their classes `[N]`.
      num_classes: how many classes there are.

    Raises:
      ConfigError: if there is a class without images.
    """
    counts = np.bincount(labels, minlength=num_classes)
    if not counts.all():
        raise ConfigError(f"the images per class are {counts.tolist()}; a Gaussian needs one of each at least")
    latents = latents.astype(np.float64)
    own = [latents[labels == label] for label in range(num_classes)]
    covariances = np.stack([_shrunk_covariance(each) for each in own])
    variances = np.trace(covariances, axis1=1, axis2=2) / latents.shape[1]
    ridge = _RIDGE * np.average(variances, weights=counts) + np.finfo(np.float32).tiny
    factors = np.linalg.cholesky(covariances + ridge * np.eye(latents.shape[1]))
    return np.stack([each.mean(axis=0) for each in own]), factors


def fit_class_gaussians(
    gaussians: ClassGaussians, encoder: keras.Model, batches: Iterable[Mapping[str, tf.Tensor]]
) -> None:
    """Fits the Gaussians to an encoder's latents, without dropout.

    Arguments:
      gaussians: what is set.
      encoder: maps images to latents.
      batches: every training image once, as it is: `image` uint8 `[N, H, W, 3]` and `label` `[N]`.

    Raises:
      ConfigError: if there is a class without images.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def encode(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(apply_network(encoder, to_signed_float(images), None), keras.config.floatx())

    pairs = [(encode(batch["image"]).numpy(), np.asarray(batch["label"])) for batch in batches]
    latents, labels = (np.concatenate(side) for side in zip(*pairs, strict=True))
    means, factors = class_gaussians(latents, labels, gaussians.means.shape[0])
    gaussians.means.assign(means)
    gaussians.factors.assign(factors)


def _shrunk_covariance(latents: np.ndarray) -> np.ndarray:
    """Returns the covariance `[D, D]` of latents `[n, D]`, zero for a single one."""
    if len(latents) == 1:
        return np.zeros((latents.shape[1], latents.shape[1]))
    return ledoit_wolf(latents)[0]
