import numpy as np
import tensorflow as tf

from melgan.images import to_signed_float, to_uint8


def test_ends_and_middle_of_the_scale():
    np.testing.assert_allclose(to_signed_float(tf.constant([0, 51, 204, 255], tf.uint8)), [-1, -0.6, 0.6, 1], atol=1e-6)


def test_every_stored_value_survives_the_round_trip():
    values = np.arange(256, dtype=np.uint8)
    back = to_uint8(to_signed_float(values))
    assert back.dtype == tf.uint8
    np.testing.assert_array_equal(back, values)


def test_floats_are_rounded_and_clipped():
    step = 1 / 127.5
    floats = tf.constant([-7.0, -1 + 0.4 * step, -1 + 0.6 * step, 1 - 0.6 * step, 1.5])
    np.testing.assert_array_equal(to_uint8(floats), [0, 0, 1, 254, 255])
