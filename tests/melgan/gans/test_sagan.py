import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures import sagan
from melgan.gans.architectures.networks import NetworkShape
from melgan.layers.normalization import ConditionalBatchNormalization
from melgan.layers.spectral import SpectralConv2D

LABELS = tf.constant([2, 0, 2, 1])


def build(image_size, width=0.02):
    keras.utils.set_random_seed(0)
    return sagan.build(NetworkShape(image_size=image_size, num_classes=3, latent_dim=8, width=width))


def convolutions(network, ending):
    return [layer for layer in network.layers if isinstance(layer, SpectralConv2D) and layer.name.endswith(ending)]


def units(layers):
    return [layer.kernel.shape[-1] for layer in layers]


def test_published_filters():
    """At 128 px, of a width of a sixteenth: 64 becomes 4."""
    networks = build(128, width=1 / 16)
    assert networks.generator.get_layer("dense").kernel.shape == (8, 4 * 4 * 64)
    for ending in ("_1", "_2", "_skip"):
        assert units(convolutions(networks.generator, ending)) == [64, 32, 16, 8, 4]
    assert units(convolutions(networks.discriminator.trunk, "_skip")) == [4, 8, 16, 32, 64]
    for ending in ("_1", "_2"):
        assert units(convolutions(networks.discriminator.trunk, ending)) == [4, 8, 16, 32, 64, 64]
    assert networks.discriminator.trunk.output_shape == (None, 64)


@pytest.mark.parametrize(("image_size", "of_trunk"), [(32, 16), (64, 32), (128, 32), (256, 32)])
def test_attention_is_at_32_px_or_the_largest_that_fits(image_size, of_trunk):
    networks = build(image_size)
    assert networks.generator.get_layer("attention_sum").output.shape[1:3] == (32, 32)
    assert networks.discriminator.trunk.get_layer("attention_sum").output.shape[1:3] == (of_trunk, of_trunk)


def test_projection_head_by_hand():
    """psi(features) + <row of the class, features>, both normalised. Miyato and Koyama 2018, eq. 3."""
    head = build(32).discriminator.head
    features = np.random.default_rng(0).normal(size=(4, 20)).astype(np.float32)
    logit, rows = head.get_layer("logit"), head.get_layer("embedding").effective_kernel().numpy()
    logit.bias.assign([0.3])
    linear = features @ logit.effective_kernel().numpy()[:, 0] + 0.3
    by_hand = linear + [features[n] @ rows[label] for n, label in enumerate(LABELS.numpy())]
    np.testing.assert_allclose(head([tf.constant(features), LABELS]), by_hand, rtol=1e-5, atol=1e-6)


def test_trunk_sums_over_places():
    trunk = build(32).discriminator.trunk
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    places = keras.Model(trunk.input, trunk.layers[-1].output)(images)
    assert places.shape[1:3] == (4, 4)
    assert np.min(places) == 0  # after the last activation
    np.testing.assert_allclose(trunk(images), np.sum(places, axis=(1, 2)), rtol=1e-5)


@pytest.fixture
def norm():
    norm = ConditionalBatchNormalization(3, epsilon=1e-5)
    norm(tf.zeros([4, 2, 2, 5]), LABELS)
    rng = np.random.default_rng(1)
    norm.factors.embeddings.assign(rng.normal(1, 0.5, (3, 5)))
    norm.offsets.embeddings.assign(rng.normal(0, 0.5, (3, 5)))
    return norm


def by_hand(norm, features, mean, variance):
    factors, offsets = (np.asarray(table.embeddings)[LABELS][:, None, None] for table in (norm.factors, norm.offsets))
    return (features - mean) / np.sqrt(variance + 1e-5) * factors + offsets


def test_conditional_batch_normalisation_against_numpy(norm):
    features = np.random.default_rng(0).normal(3, 2, (4, 6, 6, 5)).astype(np.float32)
    mean, variance = features.mean(axis=(0, 1, 2)), features.var(axis=(0, 1, 2))
    outputs = norm(features, LABELS, training=True)
    np.testing.assert_allclose(outputs, by_hand(norm, features, mean, variance), rtol=1e-4, atol=1e-5)
    moving_mean, moving_variance = 0.01 * mean, 0.99 + 0.01 * variance
    np.testing.assert_allclose(norm.norm.moving_mean, moving_mean, rtol=1e-4)
    np.testing.assert_allclose(norm.norm.moving_variance, moving_variance, rtol=1e-4)
    outputs = norm(features, LABELS)
    np.testing.assert_allclose(outputs, by_hand(norm, features, moving_mean, moving_variance), rtol=1e-4, atol=1e-5)


def test_conditional_batch_normalisation_starts_without_a_class():
    features = np.random.default_rng(0).normal(3, 2, (4, 6, 6, 5)).astype(np.float32)
    norm = ConditionalBatchNormalization(3)
    np.testing.assert_array_equal(
        norm(features, LABELS, training=True), norm(features, tf.zeros(4, tf.int32), training=True)
    )
