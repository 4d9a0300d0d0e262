import keras
import numpy as np
import tensorflow as tf

from melgan.layers.class_softmax import ClassLogProbabilities


def test_log_probabilities_by_hand():
    """Two classes and fakes: logits [x0, x1 + 1, 0]."""
    layer = ClassLogProbabilities(2)
    features = tf.constant([[0.0, 0.0], [3.0, 1.0], [0.0, -2.0]])
    layer(features, tf.constant([0, 0, 0]))
    layer.set_weights([np.eye(2), np.array([0.0, 1.0]), np.zeros((1, 2)), np.zeros(1)])
    probabilities = np.exp([[0.0, 1.0, 0.0], [3.0, 2.0, 0.0], [0.0, -1.0, 0.0]])
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    for labels in ([0, 1, 2], [2, 2, 2], [1, 0, 0]):
        by_hand = np.log(probabilities[[0, 1, 2], labels])
        np.testing.assert_allclose(layer(features, tf.constant(labels)), by_hand, rtol=1e-6)


def test_fakes_start_as_likely_as_a_class():
    keras.utils.set_random_seed(0)
    layer = ClassLogProbabilities(3)
    features = tf.random.stateless_normal([2000, 50], [0, 0])
    probabilities = [np.exp(layer(features, tf.fill([2000], label))) for label in range(4)]
    np.testing.assert_allclose(np.sum(probabilities, axis=0), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.mean(probabilities, axis=1), 0.25, atol=0.05)
