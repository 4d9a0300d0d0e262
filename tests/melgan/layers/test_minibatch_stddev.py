import numpy as np
import pytest
import tensorflow as tf

from melgan.layers.minibatch_stddev import MinibatchStddev


def appended(features):
    """Returns the map that is appended, one number an image; it must be the same at every place."""
    outputs = MinibatchStddev()(tf.constant(features, tf.float32)).numpy()
    np.testing.assert_array_equal(outputs[..., :-1], np.float32(features))
    np.testing.assert_array_equal(outputs[..., -1], np.broadcast_to(outputs[:, :1, :1, -1], outputs.shape[:-1]))
    return outputs[:, 0, 0, -1]


def normal(batch_size):
    return np.random.default_rng(0).normal(size=(batch_size, 2, 3, 5))


def test_four_images_by_hand():
    """Two features: 0, 2, 4, 6 have deviation sqrt(5), four equal ones sqrt(1e-8)."""
    features = np.array([[0, 7], [2, 7], [4, 7], [6, 7]]).reshape(4, 1, 1, 2)
    np.testing.assert_allclose(appended(features), [(np.sqrt(5) + 1e-4) / 2] * 4, rtol=1e-5)


def test_single_image_has_no_deviation():
    np.testing.assert_allclose(appended(normal(1)), [1e-4], rtol=1e-3)


@pytest.mark.parametrize(("batch_size", "group"), [(8, 4), (2, 2), (6, 3), (7, 1)])
def test_groups_are_of_images_that_follow_one_another(batch_size, group):
    features = normal(batch_size)
    groups = features.reshape(-1, group, 2, 3, 5)
    by_hand = np.sqrt(groups.var(axis=1) + 1e-8).mean(axis=(1, 2, 3)).repeat(group)
    np.testing.assert_allclose(appended(features), by_hand, rtol=1e-5)


def test_halves_of_a_batch_give_what_the_batch_gives():
    features = normal(16)
    np.testing.assert_array_equal(appended(features), np.concatenate([appended(features[:8]), appended(features[8:])]))


def test_gradients_of_equal_images_are_finite():
    features = tf.Variable(tf.ones([4, 2, 2, 3]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(MinibatchStddev()(features.value()))
    np.testing.assert_array_equal(tape.gradient(loss, features), np.ones([4, 2, 2, 3]))


def test_half_precision_is_near():
    features = 100 * normal(4)  # whose squares overflow in float16
    outputs = MinibatchStddev(dtype="float16")(tf.constant(features, tf.float16))
    assert outputs.dtype == "float16"
    np.testing.assert_allclose(outputs[:, 0, 0, -1], appended(features), rtol=2e-3)
