import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures.networks import IMAGE_SIZES
from melgan.translation import auggan, patch_discriminator, resnet
from melgan.translation.config import TranslatorConfig
from tests.melgan.translation.tiny_translator import tiny_config


def without_weights(build, *arguments):
    with keras.StatelessScope(initialize_variables=False):
        return build(*arguments)


@pytest.mark.parametrize(("image_size", "halving", "field"), [(32, 0, 7), (64, 1, 16), (128, 2, 34), (256, 3, 70)])
def test_patches_grow_with_the_image(image_size, halving, field):
    """The published field of 70 pixels belongs to images of 256; computed backwards from one logit."""
    assert patch_discriminator.num_halving_layers(image_size) == halving
    network = without_weights(patch_discriminator.build, image_size, 3, 0.05)
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == halving + 2
    side = 1
    for layer in reversed(convolutions):
        side = (side - 1) * layer.strides[0] + layer.kernel_size[0]
    assert side == field
    assert network.output_shape[1] == image_size >> halving


def test_filters_are_the_published_ones():
    """C64-C128-C256-C512 of Isola et al. 2017, appendix 6.1.2; c7s1-64, d128, d256, R256 of Zhu et al. 2017, 7.2."""
    network = without_weights(patch_discriminator.build, 256, 3, 1.0)
    names = [f"conv_{number}" for number in range(4)]
    assert [network.get_layer(name).filters for name in names] == [64, 128, 256, 512]
    generator = without_weights(resnet.build, TranslatorConfig(image_size=256), 3).translate
    assert [generator.get_layer(name).filters for name in ("first", "down_1", "down_2")] == [64, 128, 256]
    blocks = [layer for layer in generator.layers if isinstance(layer, keras.layers.Add)]
    assert [block.output.shape[1:] for block in blocks] == [(64, 64, 256)] * 9


@pytest.mark.parametrize("image_size", IMAGE_SIZES)
def test_taps_are_inputs_halved_sizes_first_and_middle_block(image_size):
    generator = without_weights(resnet.build, TranslatorConfig(image_size=image_size, width=0.25), 3)
    sides = [tap.shape[1] for tap in generator.tapped.outputs]
    assert sides == [image_size, image_size // 2, *[image_size // 4] * 3]
    names = [layer.name for layer in generator.tapped.layers if isinstance(layer, keras.layers.Add)]
    assert names == [f"block_{number}" for number in range(1, 6 if image_size == 256 else 4)]


@pytest.mark.parametrize("build", [resnet.build, auggan.build])
def test_views_of_a_generator_share_their_layers(build):
    generator = build(tiny_config(parsing_weight=1.0), 3)
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)), tf.float32)
    whole = generator.whole(images)
    np.testing.assert_array_equal(whole["images"], generator.translate(images))
    assert np.abs(whole["images"]).max() <= 1
    if generator.tapped is not None:
        for one, other in zip(whole["taps"], generator.tapped(images), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(whole["taps"][0], images)


def test_decoders_of_auggan_are_tied_but_for_their_last_layers():
    """Both begin with the same features, and have as many weights but for the channels of what they end in."""
    generator = auggan.build(tiny_config("auggan"), 3)
    assert generator.whole.output["parsing"].shape == (None, 32, 32, 1)
    names = [(one.path.split("/")[-2], other.path.split("/")[-2]) for one, other in generator.tied]
    assert names == [("up_1", "parse_1"), ("up_2", "parse_2")]
    assert all(one.shape == other.shape and one is not other for one, other in generator.tied)
    assert len(auggan.build(tiny_config(parsing_weight=0.0), 3).tied) == 0


def test_a_mirrored_image_may_have_a_mirrored_translation():
    """With kernels that are mirror images of themselves it has, so no layer looks further to one side."""
    generator = resnet.build(tiny_config("cut"), 3)
    for layer in generator.translate.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(layer.kernel + tf.reverse(tf.convert_to_tensor(layer.kernel), axis=[1]))
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)), tf.float32)
    mirrored = generator.translate(tf.reverse(images, axis=[2]))
    np.testing.assert_allclose(tf.reverse(mirrored, axis=[2]), generator.translate(images), atol=1e-4)
    assert np.abs(mirrored - generator.translate(images)).max() > 0.01


@pytest.mark.parametrize("build", [resnet.build, auggan.build])
def test_a_residual_generator_begins_by_changing_nothing_and_stays_in_range(build):
    generator = build(tiny_config(residual=True), 3).translate
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)), tf.float32)
    np.testing.assert_array_equal(generator(images), images)
    generator.get_layer("last").bias.assign([0.5, -0.5, 0.0])
    change = np.tanh([0.5, -0.5, 0.0])
    np.testing.assert_allclose(generator(images), np.clip(images + change, -1, 1), atol=1e-6)
