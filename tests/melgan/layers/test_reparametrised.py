"""What equalised and spectral layers have in common."""

import numpy as np
import pytest
import tensorflow as tf

from melgan.layers.equalised import EqualisedConv2D, EqualisedDense, EqualisedEmbedding
from melgan.layers.spectral import SpectralConv2D, SpectralDense, SpectralEmbedding
from melgan.training.precision import layers_computing_in

RNG = np.random.default_rng(0)
VECTORS, IMAGES = RNG.normal(size=(2, 4)).astype(np.float32), RNG.normal(size=(2, 5, 5, 4)).astype(np.float32)
LABELS = np.array([2, 0, 2])


def with_biases(layer, inputs):
    layer(inputs)
    layer.bias.assign([1.0, 2.0, 3.0])
    return layer


@pytest.mark.parametrize("kind", [EqualisedDense, SpectralDense])
def test_a_dense_layer_multiplies_by_the_effective_kernel(kind):
    layer = with_biases(kind(3), VECTORS)
    np.testing.assert_allclose(layer(VECTORS), VECTORS @ layer.effective_kernel() + [1, 2, 3], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [EqualisedConv2D, SpectralConv2D])
def test_a_convolution_slides_the_effective_kernel_and_keeps_the_size(kind):
    layer = with_biases(kind(3, 3), IMAGES)
    outputs = layer(IMAGES)
    assert outputs.shape == (2, 5, 5, 3)
    middle = np.einsum("nhwc,hwcf->nf", IMAGES[:, 1:4, 2:5], layer.effective_kernel()) + [1, 2, 3]
    np.testing.assert_allclose(outputs[:, 2, 3], middle, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [EqualisedEmbedding, SpectralEmbedding])
def test_an_embedding_takes_rows_of_the_effective_kernel(kind):
    layer = kind(3, 4)
    np.testing.assert_array_equal(layer(LABELS), layer.effective_kernel().numpy()[LABELS])


@pytest.mark.parametrize("kind", [EqualisedConv2D, SpectralConv2D])
def test_the_kernel_is_kept_in_single_precision_and_used_in_half(kind):
    with layers_computing_in("float16"):
        layer = kind(3, 3)
    assert layer(tf.cast(IMAGES, tf.float16)).dtype == tf.float16
    assert layer.kernel.dtype == "float32"
    assert layer.effective_kernel().dtype == tf.float16
