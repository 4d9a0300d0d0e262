import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.architectures.filters import scaled_filters
from melgan.gans.architectures.networks import IMAGE_SIZES, NetworkShape
from melgan.layers.dropout import apply_network
from tests.melgan.gans.tiny_gan import enlarge_weights
from tfrecords_tools.foundation.errors import ConfigError

LABELS = tf.constant([0, 1, 2, 1])
# Whose generators may leave [-1, 1]: images are clipped when they are stored.
UNBOUNDED = ("progan", "cpggan", "r3gan")
# Whose logit of an image depends on the others of its batch.
SEEN_TOGETHER = ("dcgan", "progan", "cpggan")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def architecture(name):
    return ARCHITECTURES[name]


@pytest.fixture(scope="module", params=IMAGE_SIZES)
def networks(request, architecture):
    keras.utils.set_random_seed(0)
    networks = architecture.build(NetworkShape(image_size=request.param, num_classes=3, latent_dim=8, width=0.02))
    enlarge_weights(networks.generator, 0.5)
    return networks


@pytest.fixture(scope="module")
def images(networks):
    shape = (4, *networks.discriminator.trunk.inputs[0].shape[1:])
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.fixture(scope="module")
def latents():
    return tf.constant(np.random.default_rng(0).normal(size=(4, 8)), tf.float32)


def test_generated_images_are_in_range(name, networks, latents):
    size = networks.discriminator.trunk.inputs[0].shape[1]
    images = networks.generator([latents, LABELS], training=True).numpy()
    assert images.shape == (4, size, size, 3)
    assert np.abs(images).max() > 0.9
    assert (np.abs(images).max() <= 1) == (name not in UNBOUNDED)


def test_images_and_logits_depend_on_the_label(networks, latents, images):
    for give in (
        lambda labels: networks.generator([latents, labels]),
        lambda labels: networks.discriminator(images, labels),
    ):
        changed = np.abs(give(LABELS) - give((LABELS + [0, 1, 1, 0]) % 3)).reshape(4, -1).max(axis=1) > 0
        np.testing.assert_array_equal(changed, [False, True, True, False])


def test_discriminator_in_two_parts_equals_the_joint_call(networks, images):
    parts = networks.discriminator.logits(networks.discriminator.features(images), LABELS)
    joint = networks.discriminator(images, LABELS)
    assert joint.shape == (4,)
    np.testing.assert_allclose(parts, joint, rtol=1e-6)


def test_logit_of_an_image_is_its_own_but_for_some(name, networks, images):
    together = networks.discriminator(images, LABELS)
    alone = [networks.discriminator(images[i : i + 1], LABELS[i : i + 1])[0] for i in range(4)]
    assert np.allclose(together, alone, rtol=1e-4, atol=1e-6) == (name not in SEEN_TOGETHER)


def test_discriminator_trains_both_parts(networks):
    parts = networks.discriminator.trunk.trainable_variables + networks.discriminator.head.trainable_variables
    assert [id(variable) for variable in networks.discriminator.trainable_variables] == [id(part) for part in parts]


def test_encoder_gives_latents_that_the_generator_takes(architecture, networks, images):
    assert (networks.encoder is not None) == (networks.decoder is not None) == architecture.has_encoder
    if networks.encoder is None:
        return
    latents = apply_network(networks.encoder, images, None)
    assert latents.shape == (4, 8)
    assert networks.generator([latents, LABELS]).shape == images.shape
    decoders = {id(variable) for variable in networks.decoder.trainable_variables}
    assert decoders == {id(variable) for variable in networks.generator.trainable_variables}


def test_published_filters_of_bagan_gp():
    networks = ARCHITECTURES["bagan_gp"].build(NetworkShape(image_size=64, num_classes=2, latent_dim=128))

    def filters(network, kind):
        found = [layer for layer in network.layers if type(layer) is kind]
        assert all(layer.kernel_size == (4, 4) and layer.strides == (2, 2) for layer in found)
        return [layer.filters for layer in found]

    decoder = networks.generator
    assert decoder.get_layer("dense").units == 4 * 4 * 256
    assert filters(decoder, layers.Conv2DTranspose) == [128, 128, 64, 3]
    assert filters(networks.encoder, layers.Conv2D) == [64, 128, 128, 256]
    assert filters(networks.discriminator.trunk, layers.Conv2D) == [64, 128, 128, 256]
    assert tf.reduce_max(tf.abs(decoder.get_layer("up_64").kernel)) < 0.12  # normal of deviation 0.02


def test_published_filters_of_dcgan():
    networks = ARCHITECTURES["dcgan"].build(NetworkShape(image_size=64, num_classes=2, latent_dim=100))
    assert networks.generator.get_layer("dense").units == 4 * 4 * 1024
    ups = [layer for layer in networks.generator.layers if type(layer) is layers.Conv2DTranspose]
    downs = [layer for layer in networks.discriminator.trunk.layers if type(layer) is layers.Conv2D]
    assert [layer.filters for layer in ups] == [512, 256, 128, 3]
    assert [layer.filters for layer in downs] == [128, 256, 512, 1024]
    assert all(layer.kernel_size == (5, 5) and layer.strides == (2, 2) for layer in ups + downs)


@pytest.mark.parametrize(("name", "kind"), [("dcgan", layers.BatchNormalization), ("dcgan_layer_norm", layers.Layer)])
def test_first_layer_of_the_discriminator_is_not_normalised(name, kind):
    shape = NetworkShape(image_size=64, num_classes=2, latent_dim=8, width=0.02)
    trunk = ARCHITECTURES[name].build(shape).discriminator.trunk
    normalised = [layer.name for layer in trunk.layers if layer.name.startswith("norm_") and isinstance(layer, kind)]
    assert normalised == ["norm_16", "norm_8", "norm_4"]


def test_layer_normalisation_is_over_all_of_an_image():
    shape = NetworkShape(image_size=32, num_classes=2, latent_dim=8, width=0.02)
    norm = ARCHITECTURES["dcgan_layer_norm"].build(shape).discriminator.trunk.get_layer("norm_4")
    values = np.random.default_rng(0).normal(3, 2, (2, *norm.input.shape[1:])).astype(np.float32)
    flat = values.reshape(2, -1)
    expected = (flat - flat.mean(axis=1, keepdims=True)) / flat.std(axis=1, keepdims=True)
    np.testing.assert_allclose(np.reshape(norm(values), (2, -1)), expected, atol=2e-3)  # its epsilon is 0.001


def test_other_sizes_are_refused(architecture):
    with pytest.raises(ConfigError, match="image_size.* 48.* 32, 64, 128, 256"):
        architecture.build(NetworkShape(image_size=48, num_classes=2, latent_dim=8))


@pytest.mark.parametrize(("filters", "width", "scaled"), [(256, 1.0, 256), (64, 0.1, 6), (32, 0.1, 4), (128, 2.0, 256)])
def test_scaled_filters(filters, width, scaled):
    assert scaled_filters(filters, width) == scaled
