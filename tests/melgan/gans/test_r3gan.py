import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from melgan.gans.architectures import r3gan
from melgan.gans.architectures.networks import NetworkShape
from melgan.gans.penalties import RealAndFake
from melgan.gans.trainer import GanTrainer
from melgan.layers.grouped_convolution import GroupedConv2D
from tests.melgan.gans.tiny_gan import (
    CLASS_COUNTS,
    discriminator_gradients,
    enlarge_weights,
    flat,
    generator_gradients,
    shown_to,
    tiny_batch,
    tiny_config,
)

LABELS = tf.constant([2, 0, 2, 1])
GAIN = math.sqrt(2 / 1.04)  # of a leaky ReLU of slope 0.2


def build(image_size, width=0.02):
    keras.utils.set_random_seed(0)
    return r3gan.build(NetworkShape(image_size=image_size, num_classes=3, latent_dim=8, width=width))


def filters(network):
    """Returns the filters of every residual block, in order."""
    return [layer.filters for layer in network.layers if layer.name.endswith("_residue")]


@pytest.mark.parametrize(
    ("image_size", "published"), [(64, [768, 768, 768, 768, 384]), (256, [768, 768, 768, 768, 384, 192, 96])]
)
def test_published_filters(image_size, published):
    """At a width of a twelfth: 96 becomes 8."""
    networks = build(image_size, width=1 / 12)
    scaled = [number // 12 for number in published for _ in range(2)]
    assert filters(networks.generator) == scaled
    assert filters(networks.discriminator.trunk) == scaled[::-1]
    for network in (networks.generator, networks.discriminator.trunk):
        grouped = [layer for layer in network.layers if isinstance(layer, GroupedConv2D)]
        assert len(grouped) == len(scaled)
        for layer in grouped:
            assert layer.kernel.shape == (3, 3, 16, 16 * layer.groups)
            assert layer.filters == 2 * network.get_layer(layer.name.replace("grouped", "residue")).filters
    assert networks.discriminator.trunk.output_shape == (None, 64)


@pytest.mark.parametrize("width", [0.001, 0.02, 0.11])
def test_every_width_divides_into_groups(width):
    for network in (build(256, width).generator, build(256, width).discriminator.trunk):
        assert all(2 * number % 16 == 0 for number in filters(network))


def test_fresh_blocks_are_the_identity():
    trunk = build(32, width=0.1).discriminator.trunk
    block = keras.Model(trunk.get_layer("from_images").output, trunk.get_layer("block_32_2").output)
    features = np.random.default_rng(0).normal(size=(2, 32, 32, 80)).astype(np.float32)
    np.testing.assert_array_equal(block(features), features)
    enlarge_weights(block)
    assert np.abs(block(features) - features).max() > 0.1


def test_first_weights_have_the_published_deviations():
    """Of 32 px: 8 blocks, so that two layers of each share a factor of the fourth root of 1 / 8."""
    networks = build(32, width=1.0)
    trunk, gain = networks.discriminator.trunk, GAIN * 8**-0.25
    deviations = {
        "block_4_1_expanded": gain / 768**0.5,
        "block_4_1_grouped": gain / (9 * 16) ** 0.5,
        "from_images": 1 / 3**0.5,
    }
    for name, deviation in deviations.items():
        assert np.std(trunk.get_layer(name).kernel) == pytest.approx(deviation, rel=0.05), name
    assert np.std(trunk.get_layer("basis").maps) == pytest.approx(1 / 4, rel=0.05)
    assert np.std(networks.generator.get_layer("basis").maps) == pytest.approx(1.0, rel=0.05)
    assert np.std(networks.generator.get_layer("embedding").embeddings) == pytest.approx(3**-0.5, rel=0.2)
    assert np.std(networks.discriminator.head.get_layer("embedding").embeddings) == pytest.approx(
        (3 * 768) ** -0.5, rel=0.1
    )


def test_bases_by_hand():
    rng = np.random.default_rng(0)
    latents, features = rng.normal(size=(2, 5)).astype(np.float32), rng.normal(size=(2, 4, 4, 3)).astype(np.float32)
    generative, discriminative = r3gan.GenerativeBasis(3), r3gan.DiscriminativeBasis(7)
    images, units = generative(latents), discriminative(features)
    maps, kernel = np.asarray(generative.maps), np.asarray(generative.linear.kernel)
    np.testing.assert_allclose(images, np.einsum("hwc,nk,kc->nhwc", maps, latents, kernel), rtol=1e-4, atol=1e-5)
    maps, kernel = np.asarray(discriminative.maps), np.asarray(discriminative.linear.kernel)
    np.testing.assert_allclose(units, np.einsum("nhwc,hwc,ck->nk", features, maps, kernel), rtol=1e-4, atol=1e-5)


def test_head_is_the_projection_alone():
    head = build(32).discriminator.head
    features = np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32)
    rows = np.asarray(head.get_layer("embedding").embeddings)[LABELS]
    np.testing.assert_allclose(head([tf.constant(features), LABELS]), np.sum(features * rows, axis=1), rtol=1e-4)


def test_nothing_is_normalised():
    networks = build(32)
    for network in (networks.generator, networks.discriminator.trunk, networks.discriminator.head):
        assert not network.non_trainable_variables
        assert not any(isinstance(layer, layers.BatchNormalization) for layer in network.layers)


@pytest.fixture(scope="module")
def trainer(one_device):
    trainer = GanTrainer(tiny_config(method="r3gan", width=0.01), CLASS_COUNTS, one_device)
    enlarge_weights(trainer.networks.generator)
    enlarge_weights(trainer.networks.discriminator)
    return trainer


def test_losses_are_of_pairs_of_one_class(trainer):
    images, labels = shown_to(trainer, tiny_batch())
    draws, discriminator = trainer.draws(0), trainer.networks.discriminator
    fakes, fake_labels, _ = trainer.step_at().generate(labels, draws)
    np.testing.assert_array_equal(fake_labels, labels)
    margins = np.subtract(discriminator(images, labels), discriminator(fakes, labels))
    _, terms = discriminator_gradients(trainer, images, labels, draws, fakes=(fakes, fake_labels))
    assert float(terms["discriminator_loss"]) == pytest.approx(np.mean(np.logaddexp(0, -margins)), rel=1e-4)
    assert float(terms["penalty"]) > 0
    _, terms = generator_gradients(trainer, images, labels, draws)
    assert float(terms["generator_loss"]) == pytest.approx(np.mean(np.logaddexp(0, margins)), rel=1e-4)


@pytest.mark.parametrize(("step", "weight", "rate", "beta_2"), [(0, 0.05, 2e-4, 0.9), (10**6, 0.005, 5e-5, 0.99)])
def test_first_and_last_settings_are_the_published_ones(trainer, step, weight, rate, beta_2):
    trainer.schedules.set_for(step)
    images, labels = shown_to(trainer, tiny_batch())
    draws = trainer.draws(0)
    fakes = trainer.step_at().generate(labels, draws)

    def gradients(penalised):
        return flat(discriminator_gradients(trainer, images, labels, draws, fakes=fakes, penalised=penalised)[0])

    zero = tf.UnconnectedGradients.ZERO  # the bias before the last activation decides about signs only
    with tf.GradientTape() as tape:
        shown = RealAndFake(images, labels, *fakes)
        penalty = tf.reduce_mean(trainer.step_at().penalty(trainer.networks.discriminator, shown, draws))
    weights = [variable.value for variable in trainer.networks.discriminator.trainable_variables]
    alone = flat(tape.gradient(penalty, weights, unconnected_gradients=zero))
    np.testing.assert_allclose(gradients(True) - gradients(False), weight * alone, atol=1e-4 * np.abs(alone).max())
    for network in ("generator", "discriminator"):
        optimizer = trainer.checkpointed[f"{network}_optimizer"]
        np.testing.assert_allclose([optimizer.learning_rate, optimizer.beta_2], [rate, beta_2], rtol=1e-6)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_gradients_in_half_precision_are_near_those_in_single(one_device, trainer, precision):
    half = GanTrainer(tiny_config(method="r3gan", width=0.01, precision=precision), CLASS_COUNTS, one_device)
    trainer.schedules.set_for(0)
    images, labels = shown_to(trainer, tiny_batch())
    fakes, found = trainer.step_at().generate(labels, trainer.draws(0)), []
    for each in (trainer, half):
        for name in ("trunk", "head", "generator"):
            each.checkpointed[name].set_weights(trainer.checkpointed[name].get_weights())
        _, scale = each.checkpointed_by_device["discriminator_loss_scale"] or (0, 1.0)
        gradients, _ = discriminator_gradients(each, images, labels, each.draws(0), fakes=fakes)
        found.append(flat(gradients) / float(scale))
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=0.1 * np.abs(found[0]).max())
    assert not np.array_equal(*found)


def test_step_takes_a_batch_for_either_network(trainer):
    assert trainer.batches_per_step == 2
