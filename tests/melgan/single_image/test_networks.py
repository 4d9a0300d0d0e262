import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.single_image.networks import MARGIN, build_discriminator, build_generator, num_filters
from tests.melgan.gans.tiny_gan import enlarge_weights


def kinds(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def test_filters_double_every_four_scales_up_to_128():
    assert [num_filters(scale, 1.0) for scale in range(13)] == [32] * 4 + [64] * 4 + [128] * 5
    assert [num_filters(scale, 0.5) for scale in (0, 4, 8, 12)] == [16, 32, 64, 64]


def test_published_layers():
    generator = build_generator(16, 3, 32, normalization="instance")
    discriminator = build_discriminator(16, 3, 32)
    for network, last in ((generator, 3), (discriminator, 1)):
        shapes = [tuple(layer.kernel.shape) for layer in kinds(network, keras.layers.Conv2D)]
        assert shapes == [(3, 3, 3, 32), *[(3, 3, 32, 32)] * 3, (3, 3, 32, last)]
        assert network.count_params() > 9 * (3 * 32 + 3 * 32 * 32 + 32 * last)
        kernels = np.concatenate([np.ravel(layer.kernel) for layer in kinds(network, keras.layers.Conv2D)])
        assert kernels.std() == pytest.approx(0.02, rel=0.02)
    assert (generator.input_shape, generator.output_shape) == ((None, 26, 26, 3), (None, 16, 16, 3))
    assert (discriminator.input_shape, discriminator.output_shape) == ((None, 16, 16, 3), (None, 6, 6, 1))


@pytest.mark.parametrize(("normalization", "count"), [("instance", 4), ("none", 0)])
def test_only_generators_are_normalised(normalization, count):
    norms = kinds(build_generator(16, 3, 4, normalization=normalization), keras.layers.GroupNormalization)
    assert [norm.groups for norm in norms] == [4] * count
    assert not kinds(build_discriminator(16, 3, 4), keras.layers.GroupNormalization)


@pytest.mark.parametrize("build", [build_discriminator, lambda *shape: build_generator(*shape, normalization="none")])
def test_a_pixel_depends_on_exactly_11_by_11(build):
    keras.utils.set_random_seed(0)
    network = build(17, 4, 8)
    enlarge_weights(network)
    images = tf.constant(np.random.default_rng(0).normal(size=(1, *network.input_shape[1:])), tf.float32)
    row, column = 2, 4
    with tf.GradientTape() as tape:
        tape.watch(images)
        pixel = network(images)[0, row, column, 0]
    seen = np.abs(tape.gradient(pixel, images)[0]).sum(axis=2) > 0
    expected = np.zeros_like(seen)
    expected[row : row + 2 * MARGIN + 1, column : column + 2 * MARGIN + 1] = True
    np.testing.assert_array_equal(seen, expected)
