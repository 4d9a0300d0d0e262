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

from melgan.layers.reparametrised import (
    ReparametrisedConv2D,
    ReparametrisedDense,
    ReparametrisedEmbedding,
    ReparametrisedLayer,
)

HE_GAIN = math.sqrt(2)  # for layers that a rectifier follows; 1 for others


class EqualisedLayer(ReparametrisedLayer):
    """A layer whose kernel is scaled by gain / sqrt(fan_in) at every pass."""

    _gain = 1.0

    def effective_kernel(self) -> tf.Tensor:
        """Returns the scaled kernel, in the precision that the layer computes in."""
        return tf.cast(self.kernel.value * self._scale, self.compute_dtype)

    def _add_kernel(self, shape: tuple[int, ...], *, fan_in: int, name: str = "kernel") -> None:
        self.kernel = self.add_weight(shape, keras.initializers.RandomNormal(stddev=1.0), autocast=False, name=name)
        self._scale = self._gain / math.sqrt(fan_in)


class EqualisedDense(EqualisedLayer, ReparametrisedDense):
    """Maps `[N, C]` to `[N, units]`."""

    def __init__(self, units: int, *, gain: float = HE_GAIN, name: str | None = None) -> None:
        super().__init__(units, name=name)
        self._gain = gain


class EqualisedConv2D(EqualisedLayer, ReparametrisedConv2D):
    """A convolution that keeps the size of images: `[N, H, W, C]` to `[N, H, W, filters]`."""

    def __init__(self, filters: int, size: int, *, gain: float = HE_GAIN, name: str | None = None) -> None:
        super().__init__(filters, size, name=name)
        self._gain = gain


class EqualisedEmbedding(EqualisedLayer, ReparametrisedEmbedding):
    """One row a class: labels `[N]` to `[N, units]`, scaled as the weights of a unit that takes as many inputs."""
