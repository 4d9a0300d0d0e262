import numpy as np
import pytest
import tensorflow as tf

from melgan.layers.dropout import apply_network
from melgan.training.precision import layers_computing_in
from melgan.training.randomness import Draws
from melgan.translation.unet import build_unet
from tfrecords_tools.foundation.errors import ConfigError

WIDTH = 1 / 16  # 4 filters at the outermost resolution


def conditions(size=16, count=4, seed=0):
    return tf.random.stateless_uniform([count, size, size, 6], [0, seed], -1.0, 1.0)


def draws(seed=0, batch_size=4, replica=0, replicas=1):
    return Draws(tf.constant([0, seed]), replica, batch_size, replicas)


@pytest.fixture(scope="module")
def network():
    """Three resolutions inside, two of which drop."""
    network = build_unet(16, 6, width=WIDTH, dropout=0.5)
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if weight.path.endswith("kernel"):
            weight.assign(rng.normal(0, 0.2, weight.shape))
    return network


@pytest.mark.parametrize(("size", "levels"), [(8, 2), (64, 5), (256, 7)])
def test_it_halves_down_to_two_pixels_and_returns_the_size_of_its_conditions(size, levels):
    network = build_unet(size, 5, width=WIDTH, dropout=0.0)
    assert network.input_shape == (None, size, size, 5)
    assert network.output_shape == (None, size, size, 3)
    halved = [layer for layer in network.layers if layer.name.startswith("down_") and "norm" not in layer.name]
    assert len(halved) == levels
    assert halved[-1].output.shape[1:3] == (2, 2)


def test_filters_are_the_published_ones():
    network = build_unet(256, 3, width=1.0, dropout=0.5)
    filters = [network.get_layer(f"down_{size}").filters for size in (128, 64, 32, 16, 8, 4, 2)]
    assert filters == [64, 128, 256, 512, 512, 512, 512]
    # Weights by hand: convolutions of 4 x 4 down, and of 3 x 3 up, to which the skip of their resolution comes.
    down = [(3, 64), (64, 128), (128, 256), (256, 512), (512, 512), (512, 512), (512, 512)]
    up = [(512, 512), (1024, 512), (1024, 512), (1024, 256), (512, 128), (256, 64), (128, 3)]
    normalised = [128, 256, 512, 512, 512] + [filters for _, filters in up[:-1]]
    expected = sum(16 * a * b + b for a, b in down) + sum(9 * a * b + b for a, b in up) + 2 * sum(normalised)
    assert network.count_params() == expected


def test_three_blocks_of_the_decoder_take_noise_from_the_innermost_outwards():
    network = build_unet(64, 6, width=WIDTH, dropout=0.5)
    assert [noise.shape[1:] for noise in network.inputs[1:]] == [(4, 4, 32), (8, 8, 16), (16, 16, 8)]


def test_without_dropout_there_is_no_noise():
    network = build_unet(16, 6, width=WIDTH, dropout=0.0)
    assert len(network.inputs) == 1
    images = conditions()
    np.testing.assert_array_equal(apply_network(network, images, draws()), network(images))


def test_images_are_in_range_and_each_depends_on_its_own_conditions_only(network):
    whole = apply_network(network, conditions(), None).numpy()
    assert np.abs(whole).max() <= 1
    assert whole.std() > 0.05
    np.testing.assert_allclose(apply_network(network, conditions()[1:2], None), whole[1:2], atol=1e-5)
    changed = tf.concat([conditions()[:2], -conditions()[2:]], axis=0)
    np.testing.assert_allclose(apply_network(network, changed, None)[:2], whole[:2], atol=1e-5)
    assert np.abs(apply_network(network, changed, None)[2:] - whole[2:]).max() > 0.1


def test_every_pixel_of_a_condition_reaches_every_pixel_of_the_image(network):
    """The innermost features see all, and nothing in a U-Net is beside them only."""
    images = tf.Variable(conditions(count=1))
    with tf.GradientTape() as tape:
        corner = tf.reduce_sum(apply_network(network, images, None)[0, 0, 0])
    gradient = np.abs(tape.gradient(corner, images).numpy()[0]).sum(axis=-1)
    assert (gradient > 0).all()
    assert gradient[:4, :4].mean() > gradient[-4:, -4:].mean()


def test_noise_decides_what_is_dropped(network):
    first = apply_network(network, conditions(), draws())
    np.testing.assert_array_equal(apply_network(network, conditions(), draws()), first)
    assert np.abs(apply_network(network, conditions(), draws(seed=1)) - first).max() > 0.01
    assert np.abs(apply_network(network, conditions(), None) - first).max() > 0.01


def test_two_replicas_drop_what_one_does(network):
    halves = [apply_network(network, conditions()[2 * n :][:2], draws(0, 2, n, 2)) for n in range(2)]
    np.testing.assert_allclose(
        tf.concat(halves, axis=0), apply_network(network, conditions(), draws()), rtol=0, atol=1e-5
    )


def test_images_are_single_precision_whatever_layers_compute_in():
    with layers_computing_in("bfloat16"):
        network = build_unet(8, 2, width=WIDTH, dropout=0.5, out_channels=1)
    assert network.get_layer("down_4").compute_dtype == "bfloat16"
    images = apply_network(network, tf.ones([2, 8, 8, 2]), draws(batch_size=2))
    assert (images.dtype, images.shape) == (tf.float32, (2, 8, 8, 1))


@pytest.mark.parametrize("size", [4, 48, 0])
def test_sizes_that_cannot_be_halved_to_two_pixels_are_refused(size):
    with pytest.raises(ConfigError, match=f"image_size is {size}"):
        build_unet(size, 3, width=WIDTH, dropout=0.0)


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_a_dropout_that_cannot_be_is_refused(dropout):
    with pytest.raises(ConfigError, match="dropout is"):
        build_unet(16, 3, width=WIDTH, dropout=dropout)
