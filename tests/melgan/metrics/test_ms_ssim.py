import itertools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import convolve1d

from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.ms_ssim import WEIGHTS, draw_pairs, estimate, ms_ssim, num_scales
from tests.melgan.metrics.made_up_samples import made_up

SIZES = [(11, 1), (21, 1), (22, 2), (32, 2), (64, 3), (128, 4), (175, 4), (176, 5), (256, 5), (1024, 5)]


def noise(count, side, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def smooth(side, seed=0):
    """Two images that resemble each other, in detail less than in outline."""
    y, x = np.mgrid[:side, :side] / side
    wave = np.stack([np.sin(5 * x + phase) + np.cos(4 * y - phase) for phase in (0.0, 0.7, 1.4)], axis=-1)
    rng = np.random.default_rng(seed)
    images = 128 + 50 * wave + rng.normal(0.0, 20.0, (2, side, side, 3)) + 10 * np.arange(2)[:, None, None, None]
    return np.clip(images, 0, 255).astype(np.uint8)


def luminance_and_contrast(first, second):
    """SSIM's two factors of each channel, with a Gaussian window of 11 pixels inside the image. Wang et al. 2004."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()

    def blur(image):
        for axis in (0, 1):
            image = convolve1d(image, window, axis=axis)
        return image[5:-5, 5:-5]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean, other = blur(first), blur(second)
    variances = blur(first**2) - mean**2 + blur(second**2) - other**2
    covariance = blur(first * second) - mean * other
    luminance = (2 * mean * other + c1) / (mean**2 + other**2 + c1)
    contrast = (2 * covariance + c2) / (variances + c2)
    return (luminance * contrast).mean(axis=(0, 1)), contrast.mean(axis=(0, 1))


def halved(image):
    side = len(image) // 2
    return image[: 2 * side, : 2 * side].reshape(side, 2, side, 2, 3).mean(axis=(1, 3))


def by_hand(first, second, scales):
    first, second = first.astype(float), second.astype(float)
    weights = np.array(WEIGHTS[:scales]) / np.sum(WEIGHTS[:scales])
    factors = []
    for _ in range(scales):
        whole, contrast = luminance_and_contrast(first, second)
        factors.append(contrast)
        first, second = (halved(image) for image in (first, second))
    factors[-1] = whole
    return np.prod(np.maximum(factors, 0) ** weights[:, None], axis=0).mean()


@pytest.mark.parametrize(("side", "expected"), SIZES)
def test_number_of_scales_by_size(side, expected):
    assert num_scales(side) == expected


@pytest.mark.parametrize(("side", "scales"), [size for size in SIZES if size[0] <= 256])
def test_every_size_works_and_identical_images_are_entirely_similar(side, scales):
    images = noise(2, side)
    np.testing.assert_allclose(ms_ssim(images, images), 1, atol=1e-6)


@pytest.mark.parametrize("side", [32, 64, 128, 176])
def test_independent_noise_is_hardly_similar(side):
    assert ms_ssim(noise(4, side), noise(4, side, seed=1)).max() < 0.15


@pytest.mark.parametrize("side", [11, 16, 21])
def test_one_scale_is_plain_ssim(side):
    first, second = smooth(side)
    expected = tf.image.ssim(tf.constant(first), tf.constant(second), 255).numpy()
    assert ms_ssim(first[None], second[None]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("side", "scales"), [(11, 1), (20, 1), (32, 2), (64, 3), (128, 4), (176, 5)])
def test_similarity_is_that_of_the_formula(side, scales):
    first, second = smooth(side)
    expected = by_hand(first, second, scales)
    assert 0.1 < expected < 0.95
    assert ms_ssim(first[None], second[None]) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("side", "scales"), [(16, 1), (32, 2), (64, 3), (128, 4), (256, 5)])
def test_weights_of_the_scales_that_fit_sum_to_one(side, scales):
    """Even images differ in luminance alone, which counts at the coarsest scale with its fraction of the weights."""
    dark, light = (np.full((1, side, side, 3), value, np.uint8) for value in (60, 180))
    luminance = (2 * 60 * 180 + 2.55**2) / (60**2 + 180**2 + 2.55**2)
    expected = luminance ** (WEIGHTS[scales - 1] / sum(WEIGHTS[:scales]))
    assert ms_ssim(dark, light) == pytest.approx(expected, abs=5e-4)  # variances of nothing, in single precision


def test_pairs_do_not_depend_on_their_batch():
    first, second = noise(70, 16), noise(70, 16, seed=1)
    found = ms_ssim(first, second)
    assert found.shape == (70,)
    np.testing.assert_allclose(found[[0, 65]], ms_ssim(first[[0, 65]], second[[0, 65]]), atol=1e-6)


def test_no_pairs_have_no_similarities():
    assert ms_ssim(noise(0, 32), noise(0, 32)).shape == (0,)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_all_pairs_are_compared_if_they_are_few(count):
    pairs = draw_pairs(count, 10, seed=0)
    assert sorted(map(tuple, pairs)) == list(itertools.combinations(range(count), 2))


@pytest.mark.parametrize(("count", "most"), [(6, 14), (40, 500), (10_000, 500)])
def test_drawn_pairs_are_different_and_of_different_images(count, most):
    pairs = draw_pairs(count, most, seed=0)
    assert pairs.shape == (most, 2)
    assert len(set(map(tuple, pairs))) == most
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert pairs.min() >= 0
    assert count / 2 < pairs.max() < count
    np.testing.assert_array_equal(pairs, draw_pairs(count, most, seed=0))


def test_every_pair_is_as_likely_to_be_drawn():
    times = np.zeros((5, 5))
    for seed in range(2000):
        times[tuple(draw_pairs(5, 3, seed).T)] += 1
    expected = 2000 * 3 / 10
    np.testing.assert_allclose(times[np.triu_indices(5, 1)], expected, atol=4 * np.sqrt(expected))
    assert times.sum() == 6000


def test_over_all_classes_it_is_the_mean_of_theirs_with_as_many_images_or_not():
    images = np.concatenate([np.repeat(noise(1, 16), 3, axis=0), noise(6, 16, seed=1)])
    labels = np.array([0] * 3 + [1] * 6)
    evaluated = replace(made_up(9, labels=labels), images=images)
    found = estimate(Comparison(evaluated, made_up(9, labels=labels, seed=1)))
    rows = np.array(list(itertools.combinations(range(3, 9), 2)))
    expected = (1 + ms_ssim(images[rows[:, 0]], images[rows[:, 1]]).mean()) / 2
    assert found["ms_ssim"].value == pytest.approx(expected, abs=1e-6)
    assert found["ms_ssim"].low < expected < found["ms_ssim"].high


def test_a_class_of_one_image_has_no_pairs_and_does_not_count():
    labels = np.array([0] * 5 + [1])
    evaluated = replace(made_up(6, labels=labels), images=np.repeat(noise(1, 16), 6, axis=0))
    assert estimate(Comparison(evaluated, evaluated))["ms_ssim"].value == pytest.approx(1, abs=1e-6)
    alone = evaluated.take(np.array([4, 5]))
    with pytest.raises(MetricUnavailable):
        estimate(Comparison(alone, alone))


def test_images_smaller_than_the_window_cannot_be_evaluated():
    with pytest.raises(MetricUnavailable, match="11 px"):
        estimate(Comparison(made_up(4, side=10), made_up(4, side=10)))
