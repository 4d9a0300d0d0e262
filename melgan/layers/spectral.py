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


class SpectralLayer(keras.layers.Layer):
    """A layer with a spectrally normalised kernel.

    The kernel and its norm stay in single precision, whatever the layer computes in.
    """

    def normalized_kernel(self) -> tf.Tensor:
        """Returns the kernel over its largest singular value, in the precision that the layer computes in."""
        return tf.cast(self.kernel.value / _length(self._unnormalized_direction()), self.compute_dtype)

    def next_direction(self) -> tf.Tensor:
        """Returns what follows the stored direction in the power iteration, `[units]`."""
        direction = self._unnormalized_direction()
        return direction / _length(direction)

    def _add_kernel(self, shape: tuple[int, ...], name: str = "kernel") -> None:
        """Creates the kernel, whose last axis are the units, and the direction, which is not trained."""
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


class SpectralDense(SpectralLayer):
    """Maps `[N, C]` to `[N, units]`."""

    def __init__(self, units: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._units = units

    def build(self, input_shape: tuple) -> None:
        """Creates the weights."""
        self._add_kernel((input_shape[-1], self._units))
        self.bias = self.add_weight((self._units,), "zeros", name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, units]` for inputs `[N, C]`."""
        return tf.matmul(inputs, self.normalized_kernel()) + self.bias.value


class SpectralConv2D(SpectralLayer):
    """A convolution that keeps the size of images: `[N, H, W, C]` to `[N, H, W, filters]`."""

    def __init__(self, filters: int, size: int, *, use_bias: bool = True, name: str | None = None) -> None:
        super().__init__(name=name)
        self._filters, self._size, self._use_bias = filters, size, use_bias

    def build(self, input_shape: tuple) -> None:
        """Creates the weights."""
        self._add_kernel((self._size, self._size, input_shape[-1], self._filters))
        self.bias = self.add_weight((self._filters,), "zeros", name="bias") if self._use_bias else None

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, H, W, filters]` for inputs `[N, H, W, C]`."""
        outputs = tf.nn.conv2d(inputs, self.normalized_kernel(), strides=1, padding="SAME")
        return outputs if self.bias is None else outputs + self.bias.value


class SpectralEmbedding(SpectralLayer):
    """One row a class, of which the whole table is normalised: labels `[N]` to `[N, units]`."""

    def __init__(self, num_classes: int, units: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._shape = (num_classes, units)

    def build(self, input_shape: tuple) -> None:
        """Creates the table."""
        del input_shape
        self._add_kernel(self._shape, name="embeddings")

    def call(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns `[N, units]` for labels `[N]`."""
        return tf.gather(self.normalized_kernel(), labels)


def advance_power_iterations(*networks: keras.Model) -> None:
    """Takes one step of the power iteration in every spectrally normalised layer of networks, in replica context.

    To be called between the gradients of a step and their application: what is stored then is what the gradients were
    computed with. Replicas have equal kernels, but may round otherwise; they store the mean, so that they stay equal.
    """
    layers = [layer for network in networks for layer in network.layers if isinstance(layer, SpectralLayer)]
    if not layers:
        return
    directions = [layer.next_direction() for layer in layers]
    means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, directions)
    for layer, direction in zip(layers, means, strict=True):
        layer.direction.assign(direction)


def _length(vector: tf.Tensor) -> tf.Tensor:
    """Returns the norm of a vector `[n]`, `[]`; 1e-12 for zeros, so that a kernel of zeros stays as it is."""
    return tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(vector)), 1e-24))
