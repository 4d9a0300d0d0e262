import math

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.architectures.networks import NetworkShape
from melgan.gans.autoencoder import AutoencoderTrainer
from melgan.gans.gaussian_fitting import fit_class_gaussians
from melgan.gans.sampler import LabelSampler, latents_at
from melgan.gans.step import Use
from melgan.gans.trainer import GanTrainer
from melgan.images import to_signed_float
from melgan.sampling import Requests
from tests.melgan.gans.tiny_gan import (
    CLASS_COUNTS,
    discriminator_gradients,
    enlarge_weights,
    flat,
    generator_gradients,
    take_steps,
    tiny_batch,
    tiny_batches,
    tiny_config,
)

BATCH = tiny_batch()
IMAGES, LABELS = to_signed_float(BATCH["image"]), tf.constant(BATCH["label"])


@pytest.fixture(scope="module")
def trainer(one_device):
    """Of three classes; its latents are Gaussian by class already."""
    trainer = GanTrainer(tiny_config(method="bagan", learning_rate=1e-3), (*CLASS_COUNTS, 3), one_device)
    enlarge_weights(trainer.networks.encoder)
    enlarge_weights(trainer.networks.decoder)
    enlarge_weights(trainer.networks.discriminator, 0.05)
    images = np.random.default_rng(5).integers(0, 256, (11, 32, 32, 3)).astype(np.uint8)
    labels = np.arange(11, dtype=np.int32) % 3
    batches = tf.data.Dataset.from_tensor_slices({"image": images, "label": labels}).batch(4)
    fit_class_gaussians(trainer.networks.class_gaussians, trainer.networks.encoder, batches)
    trainer.start_average()
    return trainer


@pytest.mark.parametrize(
    ("image_size", "ups", "downs"),
    [
        (32, [256, 128], [32, 64, 128, 256]),
        (64, [256, 256, 128], [32, 64, 128, 256, 256, 256]),
        (128, [256, 256, 256, 128], [32, 64, 128, 256, 256, 256, 256, 256]),
    ],
)
def test_published_filters(image_size, ups, downs):
    networks = ARCHITECTURES["bagan"].build(NetworkShape(image_size=image_size, num_classes=2, latent_dim=100))

    def convolutions(network):
        return [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]

    *inner, last = convolutions(networks.decoder)
    assert [layer.filters for layer in inner] == ups
    assert (last.filters, last.kernel_size) == (3, (2, 2))
    assert all(layer.kernel_size == (5, 5) and not layer.use_bias for layer in inner)
    assert networks.decoder.get_layer("hidden").units == 1024
    assert networks.decoder.get_layer("dense").units == 8 * 8 * 128
    for network in (networks.encoder, networks.discriminator.trunk):
        assert [layer.filters for layer in convolutions(network)] == downs
        assert [layer.strides[0] for layer in convolutions(network)] == [2, 1] * (len(downs) // 2)
        assert len(network.inputs) == 1 + len(downs)  # noise for the dropout behind each
    assert networks.discriminator.trunk.output_shape == (None, 8 * 8 * 256)


def test_generator_is_the_decoder_behind_the_gaussians(trainer):
    """Of the average, too, which is what draws samples."""
    latents = latents_at(3, [0, 1, 2, 3], 8).numpy().astype(np.float64)
    means, factors = (np.asarray(weight, np.float64) for weight in trainer.networks.class_gaussians.get_weights())
    labels = np.array([0, 2, 1, 0])
    own = means[labels] + np.einsum("nij,nj->ni", factors[labels], latents)
    expected = trainer.networks.decoder(tf.constant(own, tf.float32))
    for generator in (trainer.networks.generator, trainer.average.generator):
        images = generator([tf.constant(latents, tf.float32), tf.constant(labels)])
        np.testing.assert_allclose(images, expected, rtol=0, atol=1e-5)
    sampler = LabelSampler(trainer.average.generator, trainer.config, ("a", "b", "c"), seed=3)
    drawn = sampler.draw(Requests(index=np.arange(4), label=labels)).images
    assert np.abs(drawn - (expected.numpy() + 1) * 127.5).max() <= 1


def test_discriminator_starts_as_the_encoder(one_device):
    trainer = GanTrainer(tiny_config(method="bagan"), CLASS_COUNTS, one_device)
    discriminator = trainer.networks.discriminator

    def convolutions_of_the_encoder():
        return flat(trainer.networks.encoder.weights[: len(discriminator.trunk.weights)])

    head, trunk = flat(discriminator.head.weights), flat(discriminator.trunk.weights)
    convolutions = convolutions_of_the_encoder()
    assert not np.array_equal(trunk, convolutions)
    trainer.start_discriminator()
    np.testing.assert_array_equal(flat(discriminator.trunk.weights), convolutions)
    np.testing.assert_array_equal(flat(discriminator.head.weights), head)
    discriminator.trunk.weights[0].assign_add(tf.ones_like(discriminator.trunk.weights[0]))
    np.testing.assert_array_equal(convolutions_of_the_encoder(), convolutions)


def test_other_discriminators_start_as_they_are(one_device):
    trainer = GanTrainer(tiny_config(), CLASS_COUNTS, one_device)
    before = flat(trainer.networks.discriminator.trunk.weights)
    trainer.start_discriminator()
    np.testing.assert_array_equal(flat(trainer.networks.discriminator.trunk.weights), before)


def probabilities(trainer, images, draws):
    """Returns p(class | image) for three classes and fakes `[N, 4]`."""
    discriminator = trainer.networks.discriminator.with_dropout(draws)
    features = discriminator.features(images)
    return np.exp([discriminator.logits(features, tf.fill([4], label)) for label in range(4)]).T


def test_losses_by_hand(trainer):
    """Real images count by their class; a fake by the class of fakes, as much as a third of a real image."""
    draws = trainer.draws(0)
    fakes, fake_labels, _ = trainer.step_at().generate(LABELS, draws)
    _, terms = discriminator_gradients(trainer, IMAGES, LABELS, draws, fakes=(fakes, fake_labels))
    real = probabilities(trainer, IMAGES, draws.fold(Use.REAL_DROPOUT))
    fake = probabilities(trainer, fakes, draws.fold(Use.FAKE_DROPOUT))
    np.testing.assert_allclose(real.sum(axis=1), 1.0, rtol=1e-5)
    by_hand = -np.log(real[range(4), LABELS]) - np.log(fake[:, 3]) / 3
    assert float(terms["discriminator_loss"]) == pytest.approx(by_hand.mean(), rel=1e-4)
    assert float(terms["real_sign"]) == np.mean(np.sign(1 / 4 - real[:, 3]))
    _, terms = generator_gradients(trainer, IMAGES, LABELS, draws)
    asked_for = fake[range(4), fake_labels]
    assert float(terms["generator_loss"]) == pytest.approx(-np.log(asked_for).mean(), rel=1e-4)


def undecided_trainer(strategy):
    trainer = GanTrainer(tiny_config(method="bagan"), CLASS_COUNTS, strategy)
    head = trainer.networks.discriminator.head
    head.set_weights([0 * weight for weight in head.get_weights()])
    return trainer


def test_undecided_discriminator(one_device):
    """Over K = 2 classes and fakes all is ln 3 each, and there is no sign of real images being known."""
    trainer = undecided_trainer(one_device)
    _, terms = discriminator_gradients(trainer, IMAGES, LABELS, trainer.draws(0))
    assert float(terms["discriminator_loss"]) == pytest.approx(math.log(3) * 3 / 2, rel=1e-5)


def test_images_of_a_batch_balanced_over_classes_weigh_as_the_fakes(one_device):
    """The gradient by the biases is probability - target: 0 in sum where fakes weigh as much as any class."""
    trainer = undecided_trainer(one_device)
    gradients, _ = discriminator_gradients(trainer, IMAGES, LABELS, trainer.draws(0))
    names = [variable.name for variable in trainer.networks.discriminator.trainable_variables]
    for name in ("class_biases", "fake_bias"):
        np.testing.assert_allclose(gradients[names.index(name)], 0.0, atol=1e-6)


def test_dropout_is_new_at_every_step_and_for_real_and_fake(trainer):
    def features(step):
        return trainer.networks.discriminator.with_dropout(trainer.draws(step)).features(IMAGES)

    np.testing.assert_array_equal(features(0), features(0))
    assert not np.allclose(features(1), features(0))
    gradients = [
        flat(discriminator_gradients(trainer, IMAGES, LABELS, trainer.draws(step), fakes=(IMAGES, LABELS))[0])
        for step in (0, 0, 1)
    ]
    np.testing.assert_array_equal(gradients[0], gradients[1])
    assert not np.allclose(gradients[0], gradients[2])


def test_autoencoder_is_unsupervised_and_its_error_squared(one_device):
    gan = GanTrainer(tiny_config(method="bagan", learning_rate=1e-3), CLASS_COUNTS, one_device)
    enlarge_weights(gan.networks.encoder)
    trainer = AutoencoderTrainer(gan.networks.encoder, gan.networks.decoder, gan.config, one_device)
    batches = iter(tf.data.Dataset.from_tensors({"image": np.full_like(BATCH["image"], 191), "label": LABELS}).repeat())
    (start,) = take_steps(trainer, batches)["autoencoder_loss"]
    *_, end = take_steps(trainer, batches, first=1, count=150)["autoencoder_loss"]
    assert end < 0.1 * start
    images = np.full_like(BATCH["image"], 191)
    np.testing.assert_array_equal(trainer.reconstruct(images, LABELS), trainer.reconstruct(images, 1 - LABELS))
    decoded = trainer.reconstruct(images, LABELS).numpy()
    assert np.mean((decoded - to_signed_float(images)) ** 2) < 0.1 * start


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_near_single(one_device, precision):
    losses = {}
    for each in ("float32", precision):
        config = tiny_config(method="bagan", precision=each, learning_rate=1e-5)
        trainer = GanTrainer(config, CLASS_COUNTS, one_device)
        gaussians = [trainer.networks.class_gaussians.means, trainer.networks.class_gaussians.factors]
        assert [weight.dtype for weight in gaussians] == ["float32"] * 2
        values = take_steps(trainer, tiny_batches(), count=2)
        assert all(np.isfinite(value).all() for value in values.values())
        losses[each] = np.stack([values["discriminator_loss"], values["generator_loss"]])
        autoencoder = AutoencoderTrainer(trainer.networks.encoder, trainer.networks.decoder, config, one_device)
        errors = take_steps(autoencoder, tiny_batches(), count=2)
        assert np.isfinite(errors["autoencoder_loss"]).all()
    np.testing.assert_allclose(losses[precision], losses["float32"], atol=0.03)
    assert not np.array_equal(losses[precision], losses["float32"])


def test_error_of_the_autoencoder_by_hand(one_device):
    """A decoder of weights 0 gives grey, 0: what is left is the square of the images."""
    gan = GanTrainer(tiny_config(method="bagan"), CLASS_COUNTS, one_device)
    gan.networks.decoder.set_weights([0 * weight for weight in gan.networks.decoder.get_weights()])
    trainer = AutoencoderTrainer(gan.networks.encoder, gan.networks.decoder, gan.config, one_device)
    batches = iter(tf.data.Dataset.from_tensors(BATCH).repeat())
    (loss,) = take_steps(trainer, batches, count=1)["autoencoder_loss"]
    assert float(loss) == pytest.approx(np.mean(np.square(IMAGES)), rel=1e-5)
