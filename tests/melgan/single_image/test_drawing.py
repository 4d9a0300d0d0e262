import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from melgan.resizing import resize
from melgan.single_image.drawing import blend, blending_weights, draw_samples, inject, noise_of, reconstruct
from tests.melgan.single_image.test_stack import silence
from tests.melgan.single_image.tiny_singan import tiny_stack
from tfrecords_tools.foundation.errors import ConfigError


@pytest.fixture(scope="module")
def stack():
    return tiny_stack()


def test_noise_depends_on_seed_index_and_scale():
    first, *others = (
        np.ravel(noise_of(seed, [index])(scale, (8, 8, 1)))
        for seed, index, scale in ((0, 3, 1), (1, 3, 1), (0, 4, 1), (0, 3, 2))
    )
    assert np.abs(np.corrcoef([first, *others]) - np.eye(4)).max() < 0.5
    np.testing.assert_array_equal(np.ravel(noise_of(0, [9, 3])(1, (8, 8, 1))[1]), first)


@pytest.mark.parametrize("start_scale", [0, 2])
def test_samples_are_functions_of_seed_and_index(stack, start_scale):
    samples = draw_samples(stack, [0, 5, 2], seed=7, start_scale=start_scale)
    assert samples.shape == (3, 13, 13, 3)
    alone = draw_samples(stack, [5], seed=7, start_scale=start_scale)
    np.testing.assert_allclose(samples[1], alone[0], atol=1e-5)
    assert np.abs(samples[0] - samples[1]).max() > 0.05
    assert np.abs(draw_samples(stack, [5], seed=8, start_scale=start_scale) - alone).max() > 0.05


def test_samples_by_hand_from_the_finest_scale(stack):
    """The reconstruction of the scales below, and the noise of the last."""
    noise = noise_of(7, [4])(2, (13, 13, 3))
    by_hand = stack.refine(2, stack.reconstruction_below(2), noise)
    np.testing.assert_allclose(draw_samples(stack, [4], seed=7, start_scale=2), by_hand, atol=1e-6)


def test_samples_from_finer_scales_vary_less(stack):
    spread = [np.std(draw_samples(stack, range(20), seed=0, start_scale=start), axis=0).mean() for start in range(3)]
    assert spread[0] > spread[1] > spread[2] > 0


def test_reconstruction_is_that_of_the_stack(stack):
    np.testing.assert_array_equal(reconstruct(stack), stack.reconstruction_below(3))


def test_injected_image_keeps_what_the_scale_below_shows():
    """With generators that add nothing, exactly that."""
    stack = tiny_stack()
    for generator in stack.generators:
        silence(generator)
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 13, 13, 3)), tf.float32)
    at_finest = inject(stack, images, [0, 1], scale=2, seed=0)
    np.testing.assert_allclose(at_finest, resize(resize(images, 12), 13), atol=1e-6)
    from_coarser = inject(stack, images, [0, 1], scale=1, seed=0)
    np.testing.assert_allclose(from_coarser, resize(resize(resize(images, 11), 12), 13), atol=1e-6)


def test_injected_images_have_noise_of_their_index(stack):
    image = tf.repeat(reconstruct(stack), 2, axis=0)
    first, second = inject(stack, image, [0, 1], scale=1, seed=0)
    assert np.abs(first - second).max() > 0.05
    np.testing.assert_allclose(inject(stack, image[:1], [1], scale=1, seed=0)[0], second, atol=1e-5)


@pytest.mark.parametrize("scale", [0, 3])
def test_scales_that_there_are_not_are_refused(stack, scale):
    with pytest.raises(ConfigError, match=f"^scale is {scale}; .* 1 to 2"):
        inject(stack, reconstruct(stack), [0], scale=scale, seed=0)
    with pytest.raises(ConfigError, match="^start_scale is 3; .* 0 to 2"):
        draw_samples(stack, [0], seed=0, start_scale=3)


def test_blending_weights_by_hand():
    """At 250 px as published: a disk of 7 px around, blurred by 5 px, at most 1; where nothing was pasted, nothing."""
    masks = np.zeros((2, 250, 250), bool)
    masks[0, 100:150, 90:130] = True
    weights = blending_weights(masks)
    distance = scipy.ndimage.distance_transform_edt(~masks[0])
    expected = scipy.ndimage.gaussian_filter((distance <= 7).astype(np.float32), 5)
    np.testing.assert_allclose(weights[0], expected / expected.max(), atol=1e-6)
    assert weights[0, 125, 110] > 0.99
    assert weights[0, 125, 129 + 7] == pytest.approx(0.5, abs=0.06)
    assert weights[0, 125, 160] == pytest.approx(0.0, abs=1e-3)
    assert not weights[1].any()


def test_blend_by_hand():
    drawn, background = tf.ones([1, 2, 2, 3]), -tf.ones([1, 2, 2, 3])
    blended = blend(drawn, background, np.array([[[0.0, 0.5], [1.0, 0.25]]]))
    np.testing.assert_allclose(blended[0, ..., 2], [[-1.0, 0.0], [1.0, -0.5]])
