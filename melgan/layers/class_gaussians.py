"""One Gaussian a class, from which a generator takes its latents.

Mariani et al. 2018, "BAGAN: Data augmentation with balancing GAN". https://arxiv.org/abs/1803.09655
"""

import keras
import tensorflow as tf


class ClassGaussians(keras.layers.Layer):
    """Turns standard normal latents into latents of a class: mean + L latents, where L L^T is the covariance.

    `means` `[num_classes, D]` and `factors` `[num_classes, D, D]`, the matrices L, are not trained. Before they are
    fitted the means are random, so that classes differ, and the factors are the identity.
    """

    def __init__(self, num_classes: int, *, name: str | None = None) -> None:
        super().__init__(name=name, dtype=keras.config.floatx())
        self._num_classes = num_classes

    def build(self, latents_shape: tuple, labels_shape: tuple) -> None:
        """Creates means and factors."""
        del labels_shape
        shape = (self._num_classes, latents_shape[-1])
        self.means = self.add_weight(shape, keras.initializers.RandomNormal(1.0), trainable=False, name="means")
        self.factors = self.add_weight((*shape, shape[-1]), _identities, trainable=False, name="factors")

    def call(self, latents: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns latents `[N, D]` of classes `[N]`, from standard normal ones `[N, D]`."""
        means, factors = (tf.gather(weight.value, labels) for weight in (self.means, self.factors))
        return means + tf.linalg.matvec(factors, latents)


def _identities(shape: tuple[int, ...], dtype: str) -> tf.Tensor:
    return tf.eye(shape[-1], batch_shape=shape[:1], dtype=dtype)
