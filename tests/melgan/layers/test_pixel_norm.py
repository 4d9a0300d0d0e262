import numpy as np
import tensorflow as tf

from melgan.layers.pixel_norm import PixelNorm


def test_vectors_by_hand():
    """(3, 4) has a mean square of 12.5; zeros stay."""
    vectors = tf.constant([[[[3.0, 4.0], [0.0, 0.0], [-300.0, 400.0]]]])
    by_hand = np.array([[3, 4], [0, 0], [-3, 4]]) / np.sqrt(12.5)
    np.testing.assert_allclose(PixelNorm()(vectors)[0, 0], by_hand, rtol=1e-6)


def test_latents_are_normalised_too():
    latents = np.random.default_rng(0).normal(3, 2, (5, 40)).astype(np.float32)
    np.testing.assert_allclose(np.mean(np.square(PixelNorm()(latents)), axis=1), np.ones(5), rtol=1e-5)


def test_squares_do_not_overflow_in_half_precision():
    outputs = PixelNorm(dtype="float16")(tf.constant([[300.0, 400.0]], tf.float16))
    assert outputs.dtype == "float16"
    np.testing.assert_allclose(outputs[0], np.array([3, 4]) / np.sqrt(12.5), rtol=1e-3)
