"""A GAN whose first layers know no class: small images, what teaches them, and what stays apart."""

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures import build_networks
from melgan.gans.trainer import GanTrainer
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

LATENTS = tf.constant(np.random.default_rng(0).normal(size=(2, 8)), tf.float32)


@pytest.mark.parametrize("side", [4, 8])
def test_small_images_are_those_of_no_class_and_large_ones_of_their_own(side):
    networks = build_networks(tiny_config(method="utlo", shared_until=side), 2)
    enlarge_weights(networks.generator, 0.3)
    low = networks.low_generator

    def images(label):
        large, features = low.generator([LATENTS, tf.fill([2], label)])
        np.testing.assert_array_equal(large, networks.generator([LATENTS, tf.fill([2], label)]))
        return large.numpy(), low.to_images(features).numpy()

    (first, first_small), (second, second_small) = images(0), images(1)
    assert first_small.shape == (2, side, side, 3)
    np.testing.assert_array_equal(first_small, second_small)
    assert np.abs(first - second).max() > 1e-3
    assert np.abs(first_small[0] - first_small[1]).max() > 1e-3  # the latents count


@pytest.fixture
def trainer(one_device):
    trainer = GanTrainer(tiny_config(method="utlo", unconditional_weight=3.0), CLASS_COUNTS, one_device)
    for network in (trainer.networks.discriminator, *trainer.networks.generator_parts.values()):
        enlarge_weights(network)
    return trainer


def gradients(trainer):
    """Returns the gradient of every weight by its identity, and all terms by name."""
    shown, networks = shown_to(trainer, tiny_batch()), trainer.networks
    found, terms = {}, {}
    for variables, of in (
        (networks.discriminator.trainable_variables, discriminator_gradients),
        (networks.generator_variables, generator_gradients),
    ):
        own, own_terms = of(trainer, *shown, trainer.draws(0))
        found |= dict(zip(map(id, variables), own, strict=True))
        terms |= {name: float(value) for name, value in own_terms.items()}
    return found, terms


def constant(part):
    part.set_weights([0 * weight for weight in part.get_weights()])


def test_real_images_become_small_by_the_mean_of_each_area(trainer):
    images = np.zeros((1, 32, 32, 3), np.float32)
    images[0, :4, 4:8, 1] = np.arange(16).reshape(4, 4)
    expected = np.zeros((1, 8, 8, 3))
    expected[0, 0, 1, 1] = 7.5
    np.testing.assert_allclose(trainer.step_at()._low(tf.constant(images)), expected)


def test_weights_of_both_losses_add_up_to_one(trainer):
    """With heads that give every image the same logit: 0.3 with its class, 0.7 without; weights 1/4 and 3/4."""
    discriminator = trainer.networks.discriminator
    for part in (discriminator.head, discriminator.unconditional):
        constant(part)
    with_class = discriminator.head.get_layer("logit").second.bias
    without = discriminator.unconditional.get_layer("unconditional_logits").biases
    with_class.assign([0.3])
    without.assign([0.7])
    found, terms = gradients(trainer)
    assert terms["discriminator_unconditional"] == pytest.approx(np.logaddexp(0, -0.7) + np.logaddexp(0, 0.7))
    assert terms["generator_unconditional"] == pytest.approx(np.logaddexp(0, -0.7))
    # Of softplus(-b) + softplus(b): s(b) - s(-b) = tanh(b / 2).
    np.testing.assert_allclose(found[id(without)], [0.75 * np.tanh(0.35)], rtol=1e-4)
    np.testing.assert_allclose(found[id(with_class)], [0.25 * np.tanh(0.15)], rtol=1e-4)


def test_the_head_without_class_teaches_the_first_layers_and_no_others(trainer):
    """The logit with a class is a constant, so all that is learnt comes from small images."""
    networks = trainer.networks
    constant(networks.discriminator.head)
    found, _ = gradients(trainer)
    generator = networks.generator
    of_class = [*generator.get_layer("embedding").weights, *generator.get_layer("scale_16").trainable_weights]
    behind = generator.get_layer("up_16").trainable_weights
    for variable in (*of_class, *behind):
        np.testing.assert_array_equal(found[id(variable)], tf.zeros(variable.shape))
    trunk, low_trunk = networks.discriminator.trunk, networks.discriminator.low_trunk
    np.testing.assert_array_equal(found[id(trunk.get_layer("down_8").kernel)], 0.0 * trunk.get_layer("down_8").kernel)
    first = generator.get_layer("up_8").trainable_weights
    for taught in (first, networks.low_generator.to_images.trainable_weights, low_trunk.from_images.trainable_weights):
        assert np.abs(flat(found[id(variable)] for variable in taught)).max() > 1e-6
    assert np.abs(flat([found[id(trunk.get_layer("down_4").kernel)]])).max() > 1e-6


def test_the_penalty_leaves_small_images_alone(trainer):
    """The head without a class is a constant: nothing but a penalty could teach the layer before it."""
    constant(trainer.networks.discriminator.unconditional)
    found, terms = gradients(trainer)
    assert terms["penalty"] > 0
    for variable in trainer.networks.discriminator.low_trunk.from_images.trainable_weights:
        np.testing.assert_array_equal(found[id(variable)], tf.zeros(variable.shape))
