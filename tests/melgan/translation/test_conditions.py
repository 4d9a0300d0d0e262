import numpy as np
import pytest
import tensorflow as tf

from melgan.translation.conditions import condition_channels, condition_map, skin_colours

MASKS = np.zeros((2, 2, 4, 1), np.uint8)
MASKS[0, 0, 1] = 255
MASKS[1, :, 2:] = 255
COLOURS = np.array([[0.5, 0.25, -0.75], [-1.0, 0.0, 1.0]], np.float32)


def test_channels_by_hand():
    found = condition_map(MASKS, COLOURS, np.array([2, 0]), 3).numpy()
    assert found.shape == (2, 2, 4, condition_channels(3)) == (2, 2, 4, 7)
    np.testing.assert_array_equal(found[0, :, :, 0], [[-1, 1, -1, -1], [-1, -1, -1, -1]])
    np.testing.assert_array_equal(found[1, :, :, 0], [[-1, -1, 1, 1]] * 2)
    np.testing.assert_array_equal(found[0, 1, 3], [-1, 0.5, 0.25, -0.75, -1, -1, 1])
    np.testing.assert_array_equal(found[1, 0, 0, 1:], [-1, 0, 1, 1, -1, -1])
    assert (found[:, :1, :1, 1:] == found[..., 1:]).all()  # everything but the mask is the same everywhere


def test_masks_may_be_fractions():
    stored = condition_map(MASKS, COLOURS, [0, 1], 2)
    np.testing.assert_array_equal(condition_map(MASKS / np.float32(255), COLOURS, [0, 1], 2), stored)
    half = condition_map(np.full((1, 2, 2, 1), 0.5, np.float32), COLOURS[:1], [0], 2)
    np.testing.assert_array_equal(half[..., 0], np.zeros((1, 2, 2)))


def test_skin_is_what_lies_outside_of_the_mask():
    images = np.tile(COLOURS[:, None, None], (1, 2, 4, 1))
    images[0, 0, 1] = images[1, :, 2:] = 0.9
    np.testing.assert_allclose(skin_colours(images, MASKS), COLOURS, atol=1e-5)
    images[0, 1, 0] = COLOURS[0] + 0.7  # one of seven pixels of skin
    np.testing.assert_allclose(skin_colours(images, MASKS)[0], COLOURS[0] + 0.1, atol=1e-5)


def test_pixels_that_are_half_lesion_count_half():
    images = np.array([0.0, 0.6, 0.9], np.float32).reshape(1, 1, 3, 1) * np.ones(3, np.float32)
    masks = np.array([0.0, 0.5, 1.0], np.float32).reshape(1, 1, 3, 1)
    np.testing.assert_allclose(skin_colours(images, masks), np.full((1, 3), 0.3 / 1.5), atol=1e-5)


@pytest.mark.parametrize("full", [np.full((1, 16, 16, 1), 255, np.uint8), np.ones((1, 16, 16, 1), np.float32)])
def test_a_full_mask_leaves_the_mean_colour_of_all(full):
    images = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(skin_colours(images, full), images.mean(axis=(1, 2)), atol=1e-4)


def test_shapes_are_static_and_it_compiles():
    @tf.function(jit_compile=True)
    def conditions(masks, images, labels):
        found = condition_map(masks, skin_colours(images, masks), labels, 2)
        assert found.shape == (2, 2, 4, 6)
        return found

    images = np.tile(COLOURS[:, None, None], (1, 2, 4, 1))
    labels = tf.constant([0, 1])
    np.testing.assert_allclose(
        conditions(tf.constant(MASKS), tf.constant(images), labels), condition_map(MASKS, COLOURS, labels, 2), atol=1e-5
    )
