import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.penalties import PENALTIES, DraganUse, RealAndFake, dragan, gradient_penalty, r1_r2
from melgan.training.randomness import Draws

BATCH = 5
LABELS, FAKE_LABELS = tf.constant([0, 1, 2, 2, 0]), tf.constant([2, 1, 0, 0, 1])


@pytest.fixture(params=PENALTIES.values(), ids=list(PENALTIES))
def penalty(request):
    return request.param


@pytest.fixture
def draws():
    return Draws(tf.constant([3, 4]), 0, BATCH, 1)


@pytest.fixture
def images():
    """Real and fake images [N, 4, 4, 3] in [-1, 1]."""
    return np.random.default_rng(0).uniform(-1, 1, (2, BATCH, 4, 4, 3)).astype(np.float32)


def labelled(images):
    """Returns real and fake images, each with their labels."""
    real, fake = map(tf.constant, images)
    return RealAndFake(real, LABELS, fake, FAKE_LABELS)


def linear(weights):
    return lambda images, labels: tf.reduce_sum(images * weights, axis=[1, 2, 3])


def half_square(images, labels):
    """Its gradient is the image itself."""
    return tf.reduce_sum(images**2, axis=[1, 2, 3]) / 2


@pytest.mark.parametrize("penalty", [gradient_penalty, dragan])
@pytest.mark.parametrize(("weight", "expected"), [(0.5, (0.5 * 48**0.5 - 1) ** 2), (48**-0.5, 0.0)])
def test_linear_discriminator_has_the_same_gradient_everywhere(penalty, images, draws, weight, expected):
    penalties = penalty(linear(tf.fill([4, 4, 3], weight)), labelled(images), draws)
    np.testing.assert_allclose(penalties, np.full(BATCH, expected), rtol=1e-5, atol=1e-10)


def test_mixes_are_uniform_between_real_and_fake(images, draws):
    real, fake = images
    weights = draws.uniform(1, 1, 1).numpy()
    norms = np.linalg.norm((real + weights * (fake - real)).reshape(BATCH, -1), axis=1)
    np.testing.assert_allclose(gradient_penalty(half_square, labelled(images), draws), (norms - 1) ** 2, rtol=1e-5)
    assert len(np.unique(weights)) == BATCH


def test_dragan_looks_near_real_images_as_far_as_their_own_contrast_reaches(draws):
    """The gradient of half the square is the place itself, so the penalties tell how far away they looked."""
    real = np.random.default_rng(0).uniform(-1, 1, (BATCH, 4, 4, 3)).astype(np.float32)
    real[0] = 0.25  # without contrast there is no noise
    noise = draws.fold(DraganUse.NOISE).uniform(4, 4, 3)
    distance = draws.fold(DraganUse.DISTANCE).uniform(1, 1, 1)
    places = real + 0.5 * real.std(axis=(1, 2, 3), keepdims=True) * noise * distance
    norms = np.linalg.norm(np.reshape(places, (BATCH, -1)), axis=1)
    np.testing.assert_allclose(dragan(half_square, labelled((real, -real)), draws), (norms - 1) ** 2, rtol=1e-5)
    assert norms[0] == pytest.approx(0.25 * 48**0.5, rel=1e-5)
    assert np.isfinite(noise).all()
    assert 0 <= np.min(noise) < 0.1 < 0.9 < np.max(noise) < 1


def test_every_image_meets_its_own_label(images, draws):
    factors = tf.constant([1.0, 2.0, 3.0])
    weights = tf.fill([4, 4, 3], 48**-0.5)  # of norm 1
    penalties = gradient_penalty(
        lambda images, labels: tf.gather(factors, labels) * linear(weights)(images, labels), labelled(images), draws
    )
    np.testing.assert_allclose(penalties, [0, 1, 4, 4, 0], rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize(("weight", "derivative"), [(0.5, 2 * (0.5 * 48**0.5 - 1) * 48**-0.5), (0.0, 0.0)])
def test_derivative_by_the_weights_is_exact_and_finite_at_zero(images, draws, weight, derivative):
    weights = tf.Variable(tf.fill([4, 4, 3], weight))
    with tf.GradientTape() as tape:
        first = gradient_penalty(linear(weights), labelled(images), draws)[0]
    np.testing.assert_allclose(tape.gradient(first, weights), np.full((4, 4, 3), derivative), rtol=1e-4)


def test_r1_r2_is_half_the_squared_gradient_at_real_and_at_fake_images(images, draws):
    """The gradient of half the square is the image itself."""
    real, fake = (np.sum(np.square(each), axis=(1, 2, 3), dtype=np.float64) for each in images)
    np.testing.assert_allclose(r1_r2(half_square, labelled(images), draws), (real + fake) / 2, rtol=1e-5)


def test_r1_r2_meets_real_and_fake_labels(images, draws):
    """Gradients of length 1, 2 and 3 for the three classes."""
    factors, unit = tf.constant([1.0, 2.0, 3.0]), linear(tf.fill([4, 4, 3], 48**-0.5))
    penalties = r1_r2(lambda images, labels: tf.gather(factors, labels) * unit(images, labels), labelled(images), draws)
    np.testing.assert_allclose(penalties, [(1 + 9) / 2, (4 + 4) / 2, (9 + 1) / 2, (9 + 1) / 2, (1 + 4) / 2], rtol=1e-5)


def test_r1_r2_has_no_derivative_at_no_gradient(images, draws):
    """Of half the sum of two squares; the derivative by a weight of 1 / 2 for all is the weight for either image."""
    for weight, derivative in ((0.5, 2 * 0.5), (0.0, 0.0)):
        weights = tf.Variable(tf.fill([4, 4, 3], weight))
        with tf.GradientTape() as tape:
            first = r1_r2(linear(weights), labelled(images), draws)[0]
        np.testing.assert_allclose(tape.gradient(first, weights), np.full((4, 4, 3), derivative), rtol=1e-5)


def test_no_penalty_is_zero(images, draws):
    np.testing.assert_array_equal(PENALTIES["none"](half_square, labelled(images), draws), np.zeros(BATCH))


@pytest.mark.parametrize("position", range(BATCH))
def test_penalties_are_per_example(penalty, images, draws, position):
    changed = images.copy()
    changed[:, position] *= 0.5
    penalties = penalty(half_square, labelled(images), draws)
    others = np.arange(BATCH) != position
    assert penalties.shape == (BATCH,)
    np.testing.assert_array_equal(penalty(half_square, labelled(changed), draws)[others], penalties[others])
