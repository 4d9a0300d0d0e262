"""Spectral normalisation: layers whose kernel is divided by its largest singular value.

Miyato et al. 2018, "Spectral normalization for generative adversarial networks", algorithm 1.
https://arxiv.org/abs/1802.05957

The largest singular value of a kernel, as a matrix W `[rows, units]`, is estimated by one step of the power iteration
from a stored direction u `[units]`:

    v = W u / |W u|    s = |W^T v|    u' = W^T v / s

where s equals v^T W u', and so does its gradient, because v counts as a constant (eq. 9 to 12).

A pass through a layer computes this and stores nothing, so that passes over real images, over fakes, for a penalty or
for evaluation all see the same weights, and gradient functions stay pure. `advance_power_iterations` stores u' in place
of u; the trainer calls it once for every step of a network.
"""

import keras
import tensorflow as tf

from melgan.layers.reparametrised import (
    ReparametrisedConv2D,
    ReparametrisedDense,
    ReparametrisedEmbedding,
    ReparametrisedLayer,
)


class SpectralLayer(ReparametrisedLayer):
    """A layer whose kernel is divided by its largest singular value at every pass."""

    def effective_kernel(self) -> tf.Tensor:
        """Returns the kernel over its largest singular value, in the precision that the layer computes in."""
        return tf.cast(self.kernel.value / _length(self._unnormalized_direction()), self.compute_dtype)

    def next_direction(self) -> tf.Tensor:
        """Returns the direction `[units]` that follows the stored one in the power iteration."""
        direction = self._unnormalized_direction()
        return direction / _length(direction)

    def _add_kernel(self, shape: tuple[int, ...], *, fan_in: int, name: str = "kernel") -> None:
        """Creates the kernel, and the direction, which is not trained."""
        del fan_in
        self.kernel = self.add_weight(shape, "glorot_uniform", autocast=False, name=name)
        self.direction = self.add_weight(
            shape[-1:],
            keras.initializers.RandomNormal(stddev=1.0),
            trainable=False,
            autocast=False,
            name="direction",
        )

    def _unnormalized_direction(self) -> tf.Tensor:
        """Returns W^T v `[units]`."""
        matrix = tf.reshape(self.kernel.value, [-1, self.kernel.shape[-1]])
        left = tf.linalg.matvec(matrix, self.direction.value)
        return tf.linalg.matvec(matrix, tf.stop_gradient(left / _length(left)), transpose_a=True)


class SpectralDense(SpectralLayer, ReparametrisedDense):
    """Maps `[N, C]` to `[N, units]`."""


class SpectralConv2D(SpectralLayer, ReparametrisedConv2D):
    """A convolution that keeps the size of images: `[N, H, W, C]` to `[N, H, W, filters]`."""


class SpectralEmbedding(SpectralLayer, ReparametrisedEmbedding):
    """One row a class, of which the whole table is normalised: labels `[N]` to `[N, units]`."""


def advance_power_iterations(*networks: keras.Model) -> None:
    """Takes one step of the power iteration in every spectrally normalised layer that is trained, in replica context.

    To be called between the gradients of a step and their application: what is stored then is what the gradients were
    computed with. Replicas have equal kernels, but may round otherwise; they store the mean, so that they stay equal.
    """
    spectral = [layer for network in networks for layer in network.layers if isinstance(layer, SpectralLayer)]
    layers = [layer for layer in spectral if layer.trainable]
    if not layers:
        return
    directions = [layer.next_direction() for layer in layers]
    means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, directions)
    for layer, direction in zip(layers, means, strict=True):
        layer.direction.assign(direction)


def _length(vector: tf.Tensor) -> tf.Tensor:
    """Returns the norm of a vector `[n]`, `[]`; 1e-12 for zeros, so that a kernel of zeros stays as it is."""
    return tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(vector)), 1e-24))
