from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.single_image.networks import build_discriminator
from melgan.single_image.step import ScaleStep, pixel_gradient_penalty
from melgan.training.randomness import Draws
from tests.melgan.gans.tiny_gan import enlarge_weights
from tests.melgan.single_image.tiny_singan import SIZES, tiny_stack

REAL, FAKE = (tf.constant(np.random.default_rng(seed).uniform(-1, 1, (1, 13, 13, 3)), tf.float32) for seed in (0, 1))


shared_stack = cache(tiny_stack)  # no test changes it


def draws(step=0):
    return Draws(tf.constant([0, 0]), 0, 1, 1).fold(step)


def step_at(scale=2, *, weight=None):
    """Returns a step whose discriminator has the same weights everywhere, if they are given."""
    keras.utils.set_random_seed(0)
    size = SIZES[scale]
    discriminator = build_discriminator(size, 3, 4)
    enlarge_weights(discriminator)
    if weight is not None:
        discriminator.set_weights([np.full_like(weights, weight) for weights in discriminator.get_weights()])
    image = tf.Variable(tf.random.stateless_uniform([1, size, size, 3], [0, 1], -1.0, 1.0))
    below = tf.Variable(0.5 * image)
    return ScaleStep(stack=shared_stack(), scale=scale, discriminator=discriminator, real=image, below=below)


def mean_of(map_of):
    """Returns the logits of a discriminator with this map."""
    return lambda images: tf.reduce_mean(map_of(images), axis=[1, 2, 3])


@pytest.mark.parametrize("weights", [(0.0, 0.0, 0.0), (0.6, 0.0, 0.8), (1.0, 2.0, 2.0)])
def test_penalty_of_a_linear_map_of_single_pixels(weights):
    """The gradient at every pixel is w, so the penalty is (||w|| - 1)^2, whatever the size of the image."""
    discriminate = mean_of(lambda images: images @ tf.constant(weights)[:, None])
    penalty = pixel_gradient_penalty(discriminate, REAL, FAKE, draws())
    np.testing.assert_allclose(penalty, [(np.linalg.norm(weights) - 1) ** 2], atol=1e-5)


def test_penalty_takes_norms_pixel_by_pixel():
    """Slopes of 3 in 49 of 169 pixels and 1 in the others: each of the former counts 4."""
    slopes = np.ones((1, 13, 13, 1), np.float32)
    slopes[:, :7, :7] = 3.0
    penalty = pixel_gradient_penalty(mean_of(lambda images: slopes * images[..., :1]), REAL, FAKE, draws())
    np.testing.assert_allclose(penalty, [4 * 49 / 169], atol=1e-5)


def test_penalty_holds_the_logit_however_small_its_map():
    """A map of 9 x 9 means of 5 x 5 pixels; the inner 25 pixels are each in 25 of them."""
    box = np.full((5, 5, 1, 1), 1 / 25, np.float32)
    discriminate = mean_of(lambda images: tf.nn.conv2d(images[..., :1], box, 1, "VALID"))
    inside = np.minimum(np.minimum(np.arange(13) + 1, 13 - np.arange(13)), 5)
    slopes = 169 / 81 * np.outer(inside, inside) / 25
    penalty = pixel_gradient_penalty(discriminate, REAL, FAKE, draws())
    np.testing.assert_allclose(penalty, [np.mean((slopes - 1) ** 2)], rtol=1e-4)


def test_penalty_is_taken_between_real_and_fake():
    """Of x^2 / 2 the slope is x, so that penalty and place are known from each other."""
    square = mean_of(lambda images: 0.5 * images[..., :1] ** 2)
    ones = tf.ones([1, 4, 4, 1])
    places = [1 - np.sqrt(pixel_gradient_penalty(square, 0 * ones, ones, draws(step))[0]) for step in range(50)]
    assert 0.0 <= min(places) < 0.15
    assert 0.85 < max(places) <= 1.0


def test_losses_without_a_slope():
    """A discriminator of zeros: no distance, a penalty of 1, and the reconstruction's mean squared error by hand."""
    step = step_at(weight=0.0)
    losses = step.discriminator_losses(step.fake(draws()), draws())
    assert float(losses["discriminator_loss"][0]) == 0.0
    assert float(losses["penalty"][0]) == pytest.approx(1.0, abs=1e-5)
    losses = step.generator_losses(step.start(draws()), draws())
    assert float(losses["generator_loss"][0]) == 0.0
    reconstruction = step.stack.refine(2, tf.convert_to_tensor(step.below), tf.zeros([1, 13, 13, 3]))
    error = np.mean(np.square(reconstruction - step.real))
    np.testing.assert_allclose(losses["reconstruction_loss"], [error], rtol=1e-5)


def test_losses_are_means_of_maps():
    step = step_at()
    fake = step.fake(draws())
    real_mean, fake_mean = (float(tf.reduce_mean(step.discriminator(images))) for images in (step.real, fake))
    losses = step.discriminator_losses(fake, draws())
    np.testing.assert_allclose(losses["discriminator_loss"], [fake_mean - real_mean], rtol=1e-4, atol=1e-6)
    losses = step.generator_losses(step.start(draws()), draws())
    np.testing.assert_allclose(losses["generator_loss"], [-fake_mean], rtol=1e-4)


def test_fakes_have_fresh_noise_at_every_draw_and_scale():
    step = step_at()
    starts = [step.start(draws(number)).numpy() for number in (0, 0, 1)]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert np.abs(starts[0] - starts[2]).max() > 0.1
    noise = [np.ravel(step._make_noise(draws())(scale, (8, 8, 1))) for scale in range(5)]
    assert np.abs(np.corrcoef(noise) - np.eye(5)).max() < 0.5


def test_reconstruction_starts_from_the_same_noise_at_every_step():
    """The authors' code draws it anew at every step of the coarsest scale."""
    step = step_at(0, weight=0.0)
    errors = [step.generator_losses(step.start(draws(number)), draws(number)) for number in range(3)]
    assert len({float(losses["reconstruction_loss"][0]) for losses in errors}) == 1
    assert len({step.fake(draws(number)).numpy().tobytes() for number in range(3)}) == 3
