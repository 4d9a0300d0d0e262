"""How the generators of BAGAN-GP and DCGAN double the sides of their features: the table UPSAMPLINGS."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.architectures.enlarging import UPSAMPLINGS
from melgan.gans.architectures.networks import NetworkShape
from melgan.gans.combinations import require_possible
from melgan.layers.resized_convolution import ResizedConv2D
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, enlarge_weights, tiny_config
from tfrecords_tools.foundation.errors import ConfigError

HAVING = [name for name, architecture in ARCHITECTURES.items() if "upsampling" in architecture.choices]


def enlarged(upsampling, kernel, inputs):
    """Returns one channel `[H, W]` enlarged with a kernel `[H, W]`."""
    images = keras.Input((*inputs.shape, 1))
    network = keras.Model(images, UPSAMPLINGS[upsampling](images, 1, size=4, name="up"))
    network.get_layer("up").set_weights([np.float32(kernel)[..., None, None], np.zeros(1, np.float32)])
    return network(tf.constant(inputs, tf.float32)[None, ..., None])[0, ..., 0].numpy()


def test_a_point_enlarged_by_hand():
    """Transposed, it becomes the kernel; resized it is four points first, of which each becomes the kernel."""
    point = np.zeros((3, 3))
    point[1, 1] = 1.0
    found = enlarged("transposed", np.arange(16).reshape(4, 4), point)
    by_hand = np.zeros((6, 6))
    by_hand[1:5, 1:5] = np.arange(16).reshape(4, 4)
    np.testing.assert_array_equal(found, by_hand)
    found = enlarged("resize", [[0, 0, 0], [0, 1, 2], [0, 0, 4]], point)
    by_hand = np.zeros((6, 6))  # a pixel takes itself, twice the next one to the right, four times that below this
    by_hand[1:4, 1:4] = [[4, 4, 0], [6, 7, 1], [2, 3, 1]]
    np.testing.assert_array_equal(found, by_hand)


def test_a_resized_convolution_is_one_of_repeated_pixels():
    """At the border, too: beyond it lie zeros."""
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(size=(2, 5, 5, 3)), tf.float32)
    kernel, bias = rng.normal(size=(3, 3, 3, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    layer = ResizedConv2D(4, activation="tanh")
    assert layer(inputs).shape == (2, 10, 10, 4) == layer.compute_output_shape(inputs.shape)
    layer.set_weights([0.1 * kernel, bias])
    repeated = tf.repeat(tf.repeat(inputs, 2, axis=1), 2, axis=2)
    by_hand = tf.tanh(tf.nn.conv2d(repeated, 0.1 * kernel, 1, "SAME") + bias)
    np.testing.assert_allclose(layer(inputs), by_hand, rtol=1e-4, atol=1e-5)


def grain(images):
    """Returns by how much columns of even and odd number differ, inside of images."""
    return float(np.abs(np.diff(images[:, 8:-8, 8:-8].mean(axis=1), axis=1)).max())


@pytest.mark.parametrize("name", HAVING)
def test_a_generator_without_details_leaves_a_grain_only_where_it_is_transposed(name):
    """Its innermost features are equal at all places, so that all that is seen is made by the enlargements."""
    grains = {}
    choices = {"published": {}} | {upsampling: {"upsampling": upsampling} for upsampling in UPSAMPLINGS}
    for upsampling, choice in choices.items():
        keras.utils.set_random_seed(0)
        shape = NetworkShape(image_size=64, num_classes=2, latent_dim=8, width=0.02, **choice)
        generator = ARCHITECTURES[name].build(shape).generator
        enlarge_weights(generator, 0.3)
        kernel, bias = generator.get_layer("dense").get_weights()
        generator.get_layer("dense").set_weights([0 * kernel, np.ones_like(bias)])
        images = generator([tf.zeros([2, 8]), tf.constant([0, 1])]).numpy()
        assert images.shape == (2, 64, 64, 3)
        grains[upsampling] = grain(images[:, 16:-16, 16:-16])
    assert grains["published"] == grains["transposed"] > 0.05
    assert grains["resize"] < 1e-4


@pytest.mark.parametrize("method", ["sagan", "progan", "bagan", "r3gan"])
def test_networks_that_enlarge_otherwise_refuse_the_choice(method):
    with pytest.raises(ConfigError, match="upsampling.*'resize'.*bagan_gp: transposed, resize; dcgan"):
        require_possible(tiny_config(method=method, upsampling="resize"), CLASS_COUNTS)
