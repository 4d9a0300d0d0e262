"""The trainer against the published step: the same weights and random numbers give the same losses.

Both compute in float64, by Keras's own switch. In float32 the two sum in another order, training amplifies the
difference a thousandfold in twenty steps, and how large it is to begin with depends on the processor: up to 2e-7 of a
loss in the first ten steps on one, 5e-5 on another.
"""

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.labels import class_probabilities
from melgan.gans.trainer import GanTrainer
from melgan.images import to_signed_float
from tests.melgan.double_precision import double_precision
from tests.melgan.gans.published_step import PublishedStep
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, enlarge_weights, take_steps, tiny_batch, tiny_config
from tests.melgan.training.step_numbers import step_numbers

STEPS = 20
LOSSES = ("discriminator_loss", "penalty", "generator_loss")


@pytest.fixture(scope="module", autouse=True)
def _in_double_precision():
    with double_precision():
        yield


@pytest.fixture(scope="module")
def trainer(one_device):
    trainer = GanTrainer(tiny_config(image_size=64, disc_steps=5), CLASS_COUNTS, one_device)
    # Else the gradients of so young and narrow a discriminator are of norm 1e-5, and the 1e-12 under our root counts.
    for network in (trainer.networks.generator, trainer.networks.discriminator):
        enlarge_weights(network, 0.05)
    return trainer


@pytest.fixture(scope="module")
def losses(trainer):
    """Losses of ours and of the published step, each [STEPS, 3]."""
    published = PublishedStep(len(CLASS_COUNTS), latent_dim=8, filters=(6, 13, 13, 26), label_units=51)
    discriminator = trainer.networks.discriminator
    published.set_weights(
        trainer.networks.generator.get_weights(), discriminator.trunk.get_weights() + discriminator.head.get_weights()
    )
    batches = [tiny_batch(image_size=64, seed=step) for step in range(STEPS)]
    stacked = {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
    dataset = iter(tf.data.Dataset.from_tensor_slices(stacked))
    ours = take_steps(trainer, dataset, count=STEPS)
    return np.stack([ours[name] for name in LOSSES], axis=1), train_published(published, trainer, batches)


def train_published(published, trainer, batches):
    # As functions they take a tenth of the time, and compute the same.
    published.train_discriminator = tf.function(published.train_discriminator)
    published.train_generator = tf.function(published.train_generator)
    losses = []
    for step, batch in enumerate(batches):
        labels = tf.constant(batch["label"])
        numbers = step_numbers(trainer, step, labels, class_probabilities(CLASS_COUNTS, "balanced"))
        losses.append(published.train_step(to_signed_float(batch["image"]), labels, numbers))
    return np.array([[np.mean(value) for value in values] for values in losses])


def test_first_20_losses_are_those_of_the_published_step(losses):
    ours, published = losses
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours[:5], published[:5], rtol=1e-8)
    # Now and then rounding, amplified, moves the input of a leaky unit over 0, where its slope is another.
    np.testing.assert_allclose(ours, published, rtol=1e-3)
    assert np.ptp(published, axis=0).min() > 0.05  # it trains meanwhile
