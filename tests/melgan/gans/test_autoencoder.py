import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.autoencoder import AutoencoderTrainer
from melgan.gans.trainer import GanTrainer
from melgan.images import to_signed_float
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, take_steps, tiny_config

LABELS = tf.constant([0, 1, 0, 1])


@pytest.fixture(scope="module")
def images():
    """Four images, each of one colour."""
    colours = np.array([[230, 30, 30], [30, 230, 30], [30, 30, 230], [200, 200, 40]], np.uint8)
    return np.broadcast_to(colours[:, None, None], (4, 32, 32, 3)).copy()


@pytest.fixture(scope="module")
def trained(one_device, images):
    """The trainers of autoencoder and GAN, the generator's weights before, and the losses of steps 1 and 300."""
    gan = GanTrainer(tiny_config(learning_rate=3e-3), CLASS_COUNTS, one_device)
    before = gan.networks.generator.get_weights()
    trainer = AutoencoderTrainer(gan.networks.encoder, gan.networks.generator, gan.config, one_device)
    batches = iter(tf.data.Dataset.from_tensors({"image": images, "label": LABELS}).repeat())
    calls = [take_steps(trainer, batches, first=1, count=count)["autoencoder_loss"] for count in (1, 299)]
    assert [call.shape for call in calls] == [(1,), (299,)]
    losses = [float(call[-1]) for call in calls]
    return trainer, gan, before, losses


def test_loss_falls(trained):
    first, last = trained[-1]
    assert last < 0.2 * first


def test_loss_is_the_mean_absolute_error(trained, images):
    """Before training, images are nearly 0 everywhere: the loss is the mean distance of the colours from grey."""
    assert trained[-1][0] == pytest.approx(np.abs(to_signed_float(images)).mean(), rel=0.02)


def test_generator_is_initialised(trained):
    _, gan, before, _ = trained
    generator = gan.networks.generator
    changed = [
        not np.array_equal(old, new)
        for variable, old, new in zip(generator.variables, before, generator.get_weights(), strict=True)
        if variable.trainable
    ]
    assert len(changed) > 5
    assert all(changed)
    embeddings = generator.get_layer("embedding").get_weights()[0]
    assert (embeddings != before[0]).any(axis=1).all()  # of every label


def test_average_starts_as_the_initialised_generator(trained):
    _, gan, _, _ = trained
    gan.start_average()
    for average, weight in zip(gan.average.generator.get_weights(), gan.networks.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(average, weight)


def test_reconstructions_are_close(trained, images):
    trainer, _, _, (first, _) = trained
    decoded = trainer.reconstruct(images, LABELS).numpy()
    assert decoded.shape == images.shape
    assert np.abs(decoded - to_signed_float(images)).mean() < 0.4 * first
