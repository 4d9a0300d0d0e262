"""Layers whose kernel is computed from their weights at every pass: the base of equalised and spectral layers."""

import keras
import tensorflow as tf


class ReparametrisedLayer(keras.layers.Layer):
    """A layer with a reparametrised kernel.

    The weights stay in single precision, whatever the layer computes in.
    """

    def effective_kernel(self) -> tf.Tensor:
        """Returns the kernel that a pass uses, in the precision that the layer computes in."""
        raise NotImplementedError

    def _add_kernel(self, shape: tuple[int, ...], *, fan_in: int, name: str = "kernel") -> None:
        """Creates the weights of the kernel, whose last axis are the units.

        Arguments:
          shape: of the kernel.
          fan_in: inputs of a unit.
          name: of the kernel.
        """
        raise NotImplementedError


class ReparametrisedDense(ReparametrisedLayer):
    """Maps `[N, C]` to `[N, units]`."""

    def __init__(self, units: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._units = units

    def build(self, input_shape: tuple) -> None:
        """Creates the weights."""
        self._add_kernel((input_shape[-1], self._units), fan_in=input_shape[-1])
        self.bias = self.add_weight((self._units,), "zeros", name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, units]` for inputs `[N, C]`."""
        return tf.matmul(inputs, self.effective_kernel()) + self.bias.value

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the outputs."""
        return *input_shape[:-1], self._units


class ReparametrisedConv2D(ReparametrisedLayer):
    """A convolution that keeps the size of images: `[N, H, W, C]` to `[N, H, W, filters]`."""

    def __init__(self, filters: int, size: int, *, use_bias: bool = True, name: str | None = None) -> None:
        super().__init__(name=name)
        self._filters, self._size, self._use_bias = filters, size, use_bias

    def build(self, input_shape: tuple) -> None:
        """Creates the weights."""
        channels = input_shape[-1]
        shape = (self._size, self._size, channels, self._filters)
        self._add_kernel(shape, fan_in=self._size * self._size * channels)
        self.bias = self.add_weight((self._filters,), "zeros", name="bias") if self._use_bias else None

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, H, W, filters]` for inputs `[N, H, W, C]`."""
        outputs = tf.nn.conv2d(inputs, self.effective_kernel(), strides=1, padding="SAME")
        return outputs if self.bias is None else outputs + self.bias.value

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the outputs."""
        return *input_shape[:-1], self._filters


class ReparametrisedEmbedding(ReparametrisedLayer):
    """One row a class: labels `[N]` to `[N, units]`."""

    def __init__(self, num_classes: int, units: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._num_classes, self._units = num_classes, units

    def build(self, input_shape: tuple) -> None:
        """Creates the table."""
        del input_shape
        self._add_kernel((self._num_classes, self._units), fan_in=self._units, name="embeddings")

    def call(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns `[N, units]` for labels `[N]`."""
        return tf.gather(self.effective_kernel(), labels)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the outputs."""
        return *input_shape, self._units
