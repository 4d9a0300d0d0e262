"""Rejection by the ratio of ADC's logits, of a generator whose images are two shades of grey."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures.networks import Discriminator
from melgan.gans.rejection import TRIES, RejectingSampler
from melgan.gans.sampler import LabelSampler
from melgan.sampling import Requests, first_requests
from tests.melgan.gans.tiny_gan import tiny_config
from tfrecords_tools.foundation.errors import ConfigError

CLASSES = ("normal", "ring")
DARK, LIGHT = 64, 191  # as uint8, of -0.5 and 0.5


@pytest.fixture(scope="module")
def sampler():
    """Draws light images where the first latent is positive, and else dark ones: half of each."""
    latents, labels = keras.Input((8,)), keras.Input((), dtype="int32")
    shade = keras.layers.Lambda(lambda x: 0.5 * tf.sign(x[:, :1, None, None]) * tf.ones([1, 32, 32, 3]))(latents)
    return LabelSampler(keras.Model([latents, labels], shade), tiny_config(latent_dim=8), CLASSES, seed=0)


def discriminator(steepness, outputs=4):
    """Its log-ratio of class `ring` is `steepness` times the mean of an image, of `normal` always 0."""
    images = keras.Input((32, 32, 3))
    trunk = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
    features, labels = keras.Input((3,)), keras.Input((), dtype="int32")
    logits = keras.layers.Dense(outputs, use_bias=False)
    auxiliary = keras.Model([features, labels], logits(features))
    weights = np.zeros((3, outputs))
    weights[:, 1] = steepness / 3
    logits.set_weights([weights])
    return Discriminator(trunk, None, auxiliary=auxiliary)


def light(images):
    return (images.mean(axis=(1, 2, 3)) > 127).mean()


def test_images_are_kept_by_the_ratio_of_their_densities(sampler):
    """Real rings are e^2 times as often light, relative to fakes: kept are 1 of the light and e^-2 of the dark."""
    rejecting = RejectingSampler(sampler, discriminator(2.0), seed=0)
    np.testing.assert_allclose(rejecting.limits, [0.0, 1.0], atol=0.01)
    plain, chosen = (light(each.draw(first_requests(1, 400)).images) for each in (sampler, rejecting))
    assert plain == pytest.approx(0.5, abs=0.06)
    assert chosen == pytest.approx(1 / (1 + np.exp(-2)), abs=0.05)  # 0.88
    np.testing.assert_allclose(rejecting.acceptance, [1.0, (1 + np.exp(-2)) / 2], atol=0.05)


def test_a_class_of_which_the_classifier_tells_nothing_is_drawn_as_it_is(sampler):
    rejecting = RejectingSampler(sampler, discriminator(2.0), seed=0)
    wanted = Requests(index=np.arange(5) * TRIES, label=np.zeros(5, np.int32))
    np.testing.assert_array_equal(rejecting.draw(first_requests(0, 5)).images, sampler.draw(wanted).images)


def test_an_image_depends_on_its_own_request_only(sampler):
    rejecting = RejectingSampler(sampler, discriminator(2.0), seed=0)
    requests = Requests(index=np.arange(40), label=np.arange(40, dtype=np.int32) % 2)
    images = rejecting.draw(requests).images
    assert images.dtype == np.uint8
    order = np.random.default_rng(0).permutation(40)[:17]
    np.testing.assert_array_equal(rejecting.draw(requests.take(order)).images, images[order])
    other = RejectingSampler(sampler, discriminator(2.0), seed=1).draw(requests).images
    assert not np.array_equal(other, images)


def test_after_the_last_try_an_image_is_taken_as_it_is(sampler):
    """Dark images that no real one is like: of 16 tries in a row hardly any has no light one."""
    rejecting = RejectingSampler(sampler, discriminator(200.0), seed=0)
    assert light(rejecting.draw(first_requests(1, 100)).images) == 1.0
    assert len(rejecting.draw(first_requests(1, 0)).images) == 0


@pytest.mark.parametrize("without", [Discriminator(None, None), discriminator(1.0, outputs=2)])
def test_it_takes_the_classifier_of_adc(sampler, without):
    with pytest.raises(ConfigError, match="--auxiliary=adc"):
        RejectingSampler(sampler, without, seed=0)
