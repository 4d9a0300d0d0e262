"""A GAN into which classes come little by little: the schedule, the generator, the losses."""

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures import build_networks
from melgan.gans.trainer import GanTrainer
from melgan.gans.transition import Transition, require_transition_that_ends, transition_of
from melgan.layers.class_fraction import set_class_fraction
from tests.melgan.gans.tiny_gan import (
    CLASS_COUNTS,
    discriminator_gradients,
    enlarge_weights,
    flat,
    generator_gradients,
    shown_to,
    take_steps,
    tiny_batch,
    tiny_batches,
    tiny_config,
)
from tfrecords_tools.foundation.errors import ConfigError

LATENTS = tf.constant(np.random.default_rng(0).normal(size=(2, 8)), tf.float32)


@pytest.mark.parametrize(
    ("first", "last", "fractions"),
    [
        (10, 30, [0, 0, 0, 0.25, 0.5, 0.75, 1, 1]),  # 5 images a step
        (20, 20, [0, 0, 0, 0, 1, 1, 1, 1]),
        (0, 10, [0, 0.5, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_the_share_of_the_class_by_hand(first, last, fractions):
    transition = Transition(first, last, images_per_step=5)
    np.testing.assert_allclose([transition.fraction(tf.constant(step, tf.int64)) for step in range(8)], fractions)


def test_passes_are_counted_by_the_images_that_the_discriminator_is_shown():
    config = tiny_config(method="transitional", global_batch_size=4, disc_steps=2)
    assert transition_of(config, CLASS_COUNTS) == Transition(8 * 1000, 8 * 2000, 8)
    assert transition_of(tiny_config(), CLASS_COUNTS) is None


def test_without_a_share_images_of_all_classes_are_the_same_to_the_bit():
    generator = build_networks(tiny_config(method="transitional"), 2).generator
    enlarge_weights(generator, 0.3)

    def images(label):
        return generator([LATENTS, tf.fill([2], label)]).numpy()

    apart = np.abs(images(0) - images(1)).max()  # as it is built, its classes count
    set_class_fraction(tf.constant(0.0), generator)
    np.testing.assert_array_equal(images(0), images(1))
    set_class_fraction(tf.constant(0.5), generator)
    assert 0 < np.abs(images(0) - images(1)).max() < apart


@pytest.fixture
def trainer(one_device):
    trainer = GanTrainer(tiny_config(method="transitional", width=0.02, disc_steps=1), CLASS_COUNTS, one_device)
    enlarge_weights(trainer.networks.generator)
    enlarge_weights(trainer.networks.discriminator)
    return trainer


def gradients(trainer, fraction):
    """Returns the gradient of every weight by its identity, and all terms by name, at a fraction of the class."""
    trainer.conditional_fraction.assign(fraction)
    set_class_fraction(tf.constant(fraction), trainer.networks.generator)
    shown, found, terms = shown_to(trainer, tiny_batch()), {}, {}
    for name, of in (("discriminator", discriminator_gradients), ("generator", generator_gradients)):
        own, own_terms = of(trainer, *shown, trainer.draws(0))
        variables = getattr(trainer.networks, name).trainable_variables
        found |= dict(zip(map(id, variables), own, strict=True))
        terms |= {name: float(value) for name, value in own_terms.items()}
    return found, terms


def test_without_a_share_nothing_is_learnt_from_labels(trainer):
    """Neither by the embedding of the generator nor by the conditional head, which the penalty leaves alone too."""
    found, terms = gradients(trainer, 0.0)
    networks = trainer.networks
    of_labels = [*networks.generator.get_layer("embedding").weights, *networks.discriminator.head.trainable_variables]
    for variable in of_labels:
        np.testing.assert_array_equal(found[id(variable)], tf.zeros(variable.shape))
    assert np.abs(flat(found.values())).max() > 1e-3
    assert terms["discriminator_loss"] > 0  # it is measured all the same
    assert np.abs(flat(gradients(trainer, 0.5)[0][id(variable)] for variable in of_labels)).max() > 1e-3


def test_losses_of_both_heads_add_up(trainer):
    """With heads that give every image the same logit: 0.3 with its class, 0.7 without."""
    discriminator = trainer.networks.discriminator
    for part in (discriminator.head, discriminator.unconditional):
        part.set_weights([0 * weight for weight in part.get_weights()])
    with_class = discriminator.head.get_layer("logit").second.bias
    without = discriminator.unconditional.get_layer("unconditional_logits").biases
    with_class.assign([0.3])
    without.assign([0.7])
    found, terms = gradients(trainer, 0.25)
    assert terms["discriminator_loss"] == pytest.approx(np.logaddexp(0, -0.3) + np.logaddexp(0, 0.3))
    assert terms["discriminator_unconditional"] == pytest.approx(np.logaddexp(0, -0.7) + np.logaddexp(0, 0.7))
    assert terms["generator_unconditional"] == pytest.approx(np.logaddexp(0, -0.7))
    # Of softplus(-b) + softplus(b): s(b) - s(-b) = tanh(b / 2).
    np.testing.assert_allclose(found[id(without)], [np.tanh(0.35)], rtol=1e-4)
    np.testing.assert_allclose(found[id(with_class)], [0.25 * np.tanh(0.15)], rtol=1e-4)


def test_a_step_sets_the_share_that_is_its_own(one_device):
    """Of 8 images, 4 a step: the fraction grows from 0 to 1 in 4 steps; the average has it, too."""
    config = tiny_config(
        method="transitional", width=0.02, disc_steps=1, conditional_from_epochs=0.0, conditional_until_epochs=2.0
    )
    trainer = GanTrainer(config, CLASS_COUNTS, one_device)
    take_steps(trainer, tiny_batches(), first=3)
    generators = trainer.networks.generator, trainer.average.generator
    fractions = [generator.get_layer("class_fraction").fraction for generator in generators]
    np.testing.assert_allclose([*fractions, trainer.conditional_fraction], [0.75] * 3)


def test_a_run_that_would_end_before_classes_count_is_refused():
    config = tiny_config(method="transitional", global_batch_size=4, disc_steps=1)
    with pytest.raises(ConfigError, match="total_steps.* 4000, 2000 passes.* 2000; .*_until_epochs=320,"):
        require_transition_that_ends(config, CLASS_COUNTS, 4000)
    require_transition_that_ends(config, CLASS_COUNTS, 4001)
    require_transition_that_ends(tiny_config(), CLASS_COUNTS, 1)
