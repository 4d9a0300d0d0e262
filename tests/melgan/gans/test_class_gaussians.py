import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.covariance import ledoit_wolf

from melgan.gans.gaussian_fitting import class_gaussians, fit_class_gaussians
from melgan.layers.class_gaussians import ClassGaussians
from melgan.training.distribution import make_strategy
from tfrecords_tools.foundation.errors import ConfigError


def covariances(factors):
    return factors @ np.swapaxes(factors, -1, -2)


@pytest.fixture(scope="module")
def latents():
    """Correlated, far from 0, of unlike scales; 40, 60 and 5 of them in 20 dimensions, in no order."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2], [40, 60, 5]))
    mixing = rng.normal(size=(3, 20, 20)) * np.array([1.0, 0.1, 5.0])[:, None, None]
    values = 3.0 + np.einsum("nij,nj->ni", mixing[labels], rng.normal(size=(105, 20)))
    return values.astype(np.float32), labels


def test_means_are_those_of_each_class(latents):
    values, labels = latents
    means, _ = class_gaussians(values, labels, 3)
    assert means.dtype == np.float64
    for label in range(3):
        own = values[labels == label].astype(np.float64)
        np.testing.assert_allclose(means[label], own.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("label", range(3))
def test_covariances_are_those_of_ledoit_and_wolf_and_a_ridge(latents, label):
    """The ridge is a millionth of the mean variance of all latents."""
    values, labels = latents
    own = values[labels == label].astype(np.float64)
    variances = [values[labels == each].astype(np.float64).var(axis=0).mean() for each in range(3)]
    ridge = 1e-6 * np.average(variances, weights=[40, 60, 5])
    _, factors = class_gaussians(values, labels, 3)
    expected = ledoit_wolf(own)[0] + ridge * np.eye(20)
    np.testing.assert_allclose(covariances(factors)[label], expected, rtol=0, atol=1e-9 * expected.max())


def test_five_points_in_twenty_dimensions_by_the_formula():
    """Ledoit and Wolf 2004, section 3.3, image by image; the norm of a matrix is over its side there."""
    values = np.random.default_rng(1).normal(2.0, 1.0, (5, 20))
    centred = values - values.mean(axis=0)
    sample = sum(np.outer(x, x) for x in centred) / 5
    mean_variance = np.trace(sample) / 20
    d2 = np.sum((sample - mean_variance * np.eye(20)) ** 2) / 20
    b2 = min(sum(np.sum((np.outer(x, x) - sample) ** 2) / 20 for x in centred) / 5**2, d2)
    by_hand = b2 / d2 * mean_variance * np.eye(20) + (d2 - b2) / d2 * sample
    assert 0.1 < b2 / d2 < 0.9
    ridge = 1e-6 * mean_variance * np.eye(20)
    covariance = covariances(class_gaussians(values, np.zeros(5, int), 1)[1])[0]
    np.testing.assert_allclose(covariance - ridge, by_hand, rtol=1e-10, atol=1e-12)
    assert np.linalg.matrix_rank(sample) == 4
    assert np.linalg.eigvalsh(covariance).min() > 0.1


def test_factors_are_triangular(latents):
    _, factors = class_gaussians(*latents, 3)
    assert factors.dtype == np.float64
    np.testing.assert_array_equal(factors, np.tril(factors))


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_of_one_or_two_images_has_a_narrow_gaussian(count):
    """Two images lie on a line, of which nothing is shrunk: beside it there is a millionth of the mean variance."""
    rng = np.random.default_rng(0)
    latents = np.concatenate([rng.normal(size=(98, 6)), rng.normal(size=(count, 6))])
    labels = np.repeat([0, 1], [98, count])
    means, factors = class_gaussians(latents, labels, 2)
    np.testing.assert_allclose(means[1], latents[98:].mean(axis=0))
    variances = np.linalg.eigvalsh(factors[1] @ factors[1].T)
    assert (variances[: 7 - count] > 5e-7).all()
    assert (variances[: 7 - count] < 2e-6).all()
    if count == 2:
        assert variances[-1] == pytest.approx(np.sum((latents[98] - latents[99]) ** 2) / 4, rel=1e-4)


def test_known_gaussians_are_recovered():
    rng = np.random.default_rng(0)
    means = np.array([[1.0, -2.0], [0.5, 3.0]])
    factors = np.array([[[2.0, 0.0], [1.0, 0.5]], [[0.3, 0.0], [-0.2, 1.0]]])
    labels = np.arange(40_000) % 2
    latents = means[labels] + np.einsum("nij,nj->ni", factors[labels], rng.normal(size=(40_000, 2)))
    found_means, found_factors = class_gaussians(latents, labels, 2)
    np.testing.assert_allclose(found_means, means, atol=0.04)
    np.testing.assert_allclose(found_factors, factors, atol=0.04)


def test_a_class_without_images_is_refused():
    with pytest.raises(ConfigError, match=r"\[3, 0\]"):
        class_gaussians(np.ones((3, 2)), np.zeros(3, int), 2)


def test_layer_by_hand():
    layer = ClassGaussians(2)
    layer.build((None, 2), (None,))
    np.testing.assert_array_equal(layer.factors, [np.eye(2)] * 2)
    assert not np.array_equal(layer.means[0], layer.means[1])
    assert layer.trainable_variables == []
    layer.means.assign([[1.0, 2.0], [-1.0, 0.0]])
    layer.factors.assign([[[2.0, 0.0], [1.0, 3.0]], [[1.0, 0.0], [0.0, 0.5]]])
    latents = tf.constant([[1.0, 1.0], [1.0, 1.0], [0.0, 2.0]])
    np.testing.assert_allclose(layer(latents, tf.constant([0, 1, 0])), [[3.0, 6.0], [0.0, 0.5], [1.0, 8.0]])


def test_layer_computes_in_single_precision_whatever_the_others_do():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = ClassGaussians(2)
    keras.config.set_dtype_policy(before)
    assert layer(tf.fill([1, 2], 1.001), tf.constant([0])).dtype == tf.float32


def brightness_encoder():
    """Maps an image to its mean red and green, in [-1, 1]."""
    images = keras.Input((4, 4, 3))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(images)[:, :2])


@pytest.mark.parametrize("name", ["one_device", "mirrored"])
def test_gaussians_are_fitted_to_what_the_encoder_makes_of_every_image(name):
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3)).astype(np.uint8)
    labels = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1], np.int32)
    strategy = make_strategy(name)
    with strategy.scope():
        layer, encoder = ClassGaussians(2), brightness_encoder()
        layer.build((None, 2), (None,))
    dataset = tf.data.Dataset.from_tensor_slices({"image": images, "label": labels})
    fit_class_gaussians(layer, encoder, dataset.batch(4))
    latents = images.mean(axis=(1, 2))[:, :2] / 127.5 - 1
    for label in range(2):
        own = latents[labels == label]
        np.testing.assert_allclose(layer.means[label], own.mean(axis=0), atol=1e-6)
        factor = np.asarray(layer.factors[label])
        np.testing.assert_allclose(factor @ factor.T, ledoit_wolf(own)[0], rtol=1e-4, atol=1e-6)
