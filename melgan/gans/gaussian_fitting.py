"""Fits one Gaussian a class to the latents of an encoder. Mariani et al. 2018 (https://arxiv.org/abs/1803.09655).

The authors take the covariance as it is, of rank n - 1 at most for a class of n images; here it is shrunk towards a
multiple of the identity by the rule of Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional
covariance matrices", section 3.3, which shrinks the less the more images there are.
"""

from collections.abc import Callable, Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf

from melgan.images import to_signed_float
from melgan.layers.class_gaussians import ClassGaussians
from melgan.layers.dropout import with_dropout
from tfrecords_tools.foundation.errors import ConfigError

# Part of the mean variance of all latents, added to every variance: of a class of one or two images nothing is shrunk,
# and its covariance has no Cholesky factor otherwise.
_RIDGE = 1e-6


class LatentMoments:
    """Sums over the latents of each class, from which mean and shrunk covariance follow; in double precision."""

    def __init__(self, num_classes: int, latent_dim: int) -> None:
        self.counts = np.zeros(num_classes, np.int64)
        self._sums = np.zeros((num_classes, latent_dim))
        self._products = np.zeros((num_classes, latent_dim, latent_dim))  # x x^T
        self._weighted = np.zeros((num_classes, latent_dim))  # |x|^2 x
        self._fourth_powers = np.zeros(num_classes)  # |x|^4

    def add(self, latents: np.ndarray, labels: np.ndarray) -> None:
        """Adds latents `[N, D]` of classes `[N]`."""
        for label in np.unique(labels):
            own = latents[labels == label].astype(np.float64)
            squares = np.square(own).sum(axis=1)
            self.counts[label] += len(own)
            self._sums[label] += own.sum(axis=0)
            self._products[label] += own.T @ own
            self._weighted[label] += squares @ own
            self._fourth_powers[label] += squares @ squares

    def mean(self, label: int) -> np.ndarray:
        """Returns the mean of a class `[D]`."""
        return self._sums[label] / self.counts[label]

    def shrunk_covariance(self, label: int) -> np.ndarray:
        """Returns the covariance of a class `[D, D]`, shrunk by the rule of Ledoit and Wolf 2004."""
        covariance = self._covariance(label)
        target = np.eye(len(covariance)) * np.trace(covariance) / len(covariance)
        error = (self._centred_fourth_power(label) - np.square(covariance).sum()) / self.counts[label]
        distance = np.square(covariance - target).sum()
        shrinkage = np.clip(error / distance, 0.0, 1.0) if distance > 0 else 0.0
        return shrinkage * target + (1.0 - shrinkage) * covariance

    def gaussians(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns means `[num_classes, D]` and Cholesky factors `[num_classes, D, D]` of the covariances.

        Raises:
          ConfigError: if there is a class without images.
        """
        if not self.counts.all():
            raise ConfigError(f"the images per class are {self.counts.tolist()}; a Gaussian needs one of each at least")
        labels = range(len(self.counts))
        variances = [np.trace(self._covariance(label)) / self._sums.shape[1] for label in labels]
        ridge = _RIDGE * np.average(variances, weights=self.counts) + np.finfo(np.float32).tiny
        ridges = ridge * np.eye(self._sums.shape[1])
        factors = [np.linalg.cholesky(self.shrunk_covariance(label) + ridges) for label in labels]
        return np.stack([self.mean(label) for label in labels]), np.stack(factors)

    def _covariance(self, label: int) -> np.ndarray:
        mean = self.mean(label)
        return self._products[label] / self.counts[label] - np.outer(mean, mean)

    def _centred_fourth_power(self, label: int) -> float:
        """Returns the mean of |x - mean|^4, multiplied out."""
        count, mean = self.counts[label], self.mean(label)
        square = mean @ mean
        products = self._products[label] / count
        return (
            self._fourth_powers[label] / count
            - 4.0 * mean @ self._weighted[label] / count
            + 2.0 * square * np.trace(products)
            + 4.0 * mean @ products @ mean
            - 3.0 * square**2
        )


def fit_class_gaussians(
    gaussians: ClassGaussians, encoder: keras.Model, batches: Iterable[Mapping[str, tf.Tensor]]
) -> None:
    """Sets the Gaussians to those of an encoder's latents, without dropout.

    Arguments:
      gaussians: what is set.
      encoder: maps images to latents.
      batches: every training image once, as it is: `image` uint8 `[N, H, W, 3]` and `label` `[N]`.

    Raises:
      ConfigError: if there is a class without images.
    """
    num_classes, latent_dim = gaussians.means.shape
    moments, encode = LatentMoments(num_classes, latent_dim), _encoding(encoder)
    for batch in batches:
        moments.add(encode(batch["image"]).numpy(), np.asarray(batch["label"]))
    means, factors = moments.gaussians()
    gaussians.means.assign(means)
    gaussians.factors.assign(factors)


def _encoding(encoder: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    @tf.function(autograph=False, reduce_retracing=True)
    def encode(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(with_dropout(encoder, to_signed_float(images), None), keras.config.floatx())

    return encode
