import numpy as np
import pytest
import tensorflow as tf

from melgan.resizing import resize
from melgan.single_image.stack import GeneratorStack
from tests.melgan.single_image.tiny_singan import SIZES, tiny_config, tiny_stack

IMAGES = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 13, 13, 3)), tf.float32)


@pytest.fixture(scope="module")
def stack():
    return tiny_stack()


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def silence(generator):
    """Sets the last convolution of a generator to zero."""
    last = generator.get_layer("last")
    last.set_weights([0 * weight for weight in last.get_weights()])


def test_scales_are_those_of_the_settings():
    stack = GeneratorStack(tiny_config(), 4)
    assert stack.sizes == SIZES
    assert [generator.output_shape[1:] for generator in stack.generators] == [(size, size, 4) for size in SIZES]


def test_generator_without_residual_returns_its_image():
    stack = tiny_stack()
    silence(stack.generators[2])
    np.testing.assert_array_equal(stack.refine(2, IMAGES, normal(2, 13, 13, 3)), IMAGES)


def test_refined_image_by_hand(stack):
    """The image, and what the network makes of the image and 0.25 of the noise, with 5 zeros around."""
    noise = normal(2, 13, 13, 3)
    noisy = np.pad(IMAGES + 0.25 * noise, [(0, 0), (5, 5), (5, 5), (0, 0)])
    by_hand = IMAGES + stack.generators[2](noisy)
    np.testing.assert_allclose(stack.refine(2, IMAGES, noise), by_hand, atol=1e-6)
    assert np.abs(by_hand - IMAGES).max() > 0.1


def test_coarsest_scale_has_the_same_noise_in_all_channels(stack):
    noise = normal(2, 11, 11, 1)
    in_all = np.pad(np.repeat(noise, 3, axis=3), [(0, 0), (5, 5), (5, 5), (0, 0)])
    np.testing.assert_allclose(stack.refine(0, stack.start(2), noise), stack.generators[0](in_all), atol=1e-6)


@pytest.mark.parametrize(("padding", "margin"), [("zero", 0), ("noise", 5)])
def test_noise_is_as_large_as_the_padding_asks(padding, margin):
    stack = GeneratorStack(tiny_config(padding=padding), 3)
    assert stack.noise_shape(0) == (11 + 2 * margin, 11 + 2 * margin, 1)
    assert stack.noise_shape(2) == (13 + 2 * margin, 13 + 2 * margin, 3)


def test_noise_beyond_the_border_counts_where_noise_is_the_padding():
    stack = tiny_stack(padding="noise")
    noise = normal(1, 21, 21, 1).numpy()
    other = noise.copy()
    other[:, 0] += 1.0
    first, second = (stack.refine(0, stack.start(1), tf.constant(each)) for each in (noise, other))
    assert np.abs(first - second)[0, 0].max() > 1e-3


def test_noise_of_the_reconstruction_is_a_function_of_the_seed():
    stacks = [GeneratorStack(tiny_config(seed=seed), 3) for seed in (0, 0, 1)]
    first, same, other = (stack.fixed_noise(0).numpy() for stack in stacks)
    assert first.shape == (1, 11, 11, 1)
    np.testing.assert_array_equal(first, same)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.4
    assert 0.7 < first.std() < 1.3
    assert not stacks[0].fixed_noise(1).numpy().any()


def test_reconstruction_climbs_without_further_noise(stack):
    assert not stack.reconstruction_below(0).numpy().any()
    coarsest = stack.refine(0, stack.start(1), stack.fixed_noise(0))
    np.testing.assert_allclose(stack.reconstruction_below(1), resize(coarsest, 12), atol=1e-6)
    second = stack.refine(1, resize(coarsest, 12), tf.zeros([1, 12, 12, 3]))
    np.testing.assert_allclose(stack.reconstruction_below(2), resize(second, 13), atol=1e-5)
    assert stack.reconstruction_below(3).shape == (1, 13, 13, 3)


def test_examples_do_not_see_each_other(stack):
    noise = normal(2, 13, 13, 3)
    both = stack.refine(2, IMAGES, noise)
    alone = [stack.refine(2, IMAGES[row : row + 1], noise[row : row + 1]) for row in range(2)]
    np.testing.assert_allclose(both, np.concatenate(alone), atol=1e-5)


def test_weights_of_a_stack_make_another_one_the_same(stack):
    other = GeneratorStack(tiny_config(), 3)
    other.set_weights(stack.get_weights())
    np.testing.assert_array_equal(other.reconstruction_below(3), stack.reconstruction_below(3))
    assert [float(amplitude) for amplitude in other.amplitudes] == [1.0, 0.5, 0.25]
