"""Equalised learning rate: layers whose kernel begins as standard normal and is scaled at run time.

Karras et al. 2018, "Progressive growing of GANs for improved quality, stability, and variation", section 4.1.
https://arxiv.org/abs/1710.10196

The scale is He's constant gain / sqrt(fan_in), with which the variance of activations stays one. As it is applied at
every pass instead of once to the initial weights, all weights have the same range, and so Adam, whose steps do not
depend on the size of gradients, changes all of them at the same speed.
"""

import math

import keras
import tensorflow as tf

HE_GAIN = math.sqrt(2)  # for layers that a rectifier follows; 1 for others


class EqualisedLayer(keras.layers.Layer):
    """A layer with a kernel that is scaled at run time.

    The kernel stays in single precision, whatever the layer computes in.
    """

    def scaled_kernel(self) -> tf.Tensor:
        """Returns the kernel times gain / sqrt(fan_in), in the precision that the layer computes in."""
        return tf.cast(self.kernel.value * self._scale, self.compute_dtype)

    def _add_kernel(self, shape: tuple[int, ...], *, fan_in: int, gain: float, name: str = "kernel") -> None:
        self.kernel = self.add_weight(shape, keras.initializers.RandomNormal(stddev=1.0), autocast=False, name=name)
        self._scale = gain / math.sqrt(fan_in)


class EqualisedDense(EqualisedLayer):
    """Maps `[N, C]` to `[N, units]`."""

    def __init__(self, units: int, *, gain: float = HE_GAIN, name: str | None = None) -> None:
        super().__init__(name=name)
        self._units, self._gain = units, gain

    def build(self, input_shape: tuple) -> None:
        """Creates the weights."""
        self._add_kernel((input_shape[-1], self._units), fan_in=input_shape[-1], gain=self._gain)
        self.bias = self.add_weight((self._units,), "zeros", name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, units]` for inputs `[N, C]`."""
        return tf.matmul(inputs, self.scaled_kernel()) + self.bias.value


class EqualisedConv2D(EqualisedLayer):
    """A convolution that keeps the size of images: `[N, H, W, C]` to `[N, H, W, filters]`."""

    def __init__(self, filters: int, size: int, *, gain: float = HE_GAIN, name: str | None = None) -> None:
        super().__init__(name=name)
        self._filters, self._size, self._gain = filters, size, gain

    def build(self, input_shape: tuple) -> None:
        """Creates the weights."""
        shape = (self._size, self._size, input_shape[-1], self._filters)
        self._add_kernel(shape, fan_in=math.prod(shape[:-1]), gain=self._gain)
        self.bias = self.add_weight((self._filters,), "zeros", name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, H, W, filters]` for inputs `[N, H, W, C]`."""
        return tf.nn.conv2d(inputs, self.scaled_kernel(), strides=1, padding="SAME") + self.bias.value


class EqualisedEmbedding(EqualisedLayer):
    """One row a class: labels `[N]` to `[N, units]`, scaled as the weights of a unit that takes as many inputs."""

    def __init__(self, num_classes: int, units: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._shape = (num_classes, units)

    def build(self, input_shape: tuple) -> None:
        """Creates the table."""
        del input_shape
        self._add_kernel(self._shape, fan_in=self._shape[1], gain=1.0, name="embeddings")

    def call(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns `[N, units]` for labels `[N]`."""
        return tf.gather(self.scaled_kernel(), labels)
