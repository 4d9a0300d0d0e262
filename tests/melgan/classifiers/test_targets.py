import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers.targets import balancing_weights, class_losses, smoothed

RNG = np.random.default_rng(0)
LOGITS = tf.constant(RNG.normal(size=(6, 3)), tf.float32)
LABELS = np.array([0, 1, 2, 1, 0, 2])
ONE_HOT = tf.one_hot(LABELS, 3)
WEIGHTS = tf.constant([0.5, 1.0, 3.0])


def log_probabilities(logits):
    logits = np.asarray(logits, np.float64)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("counts", "balance", "expected"),
    [
        ([30, 10], 0.0, [1, 1]),
        ([30, 10], 1.0, [2 / 3, 2]),
        ([90, 10], 0.5, [100 / 120, 300 / 120]),  # 1 : 3, and 90 + 3 * 10 = 120
        ([6, 0, 2], 1.0, [2 / 3, 0, 2]),
        ([0.3, 0.1], 1.0, [2 / 3, 2]),  # in any unit
    ],
)
def test_balancing_weights(counts, balance, expected):
    weights = balancing_weights(counts, balance)
    np.testing.assert_allclose(weights, expected)
    assert np.average(weights, weights=counts) == pytest.approx(1)


def test_smoothing_spreads_its_fraction_evenly():
    np.testing.assert_allclose(smoothed(tf.constant([[1.0, 0.0], [0.25, 0.75]]), 0.2), [[0.9, 0.1], [0.3, 0.7]])
    np.testing.assert_array_equal(smoothed(ONE_HOT, 0.0), ONE_HOT)


def test_soft_targets_by_hand():
    """Probabilities 3 : 1, so that log p is log 0.75 and log 0.25; weights 1 and 5 make a mean of 2 for 3 : 1."""
    logits, targets = tf.math.log([[3.0, 1.0]] * 2), tf.constant([[0.75, 0.25], [0.5, 0.5]])
    losses = class_losses(logits, targets, tf.constant([1.0, 5.0]), 0.0)
    cross_entropies = [-0.75 * np.log(0.75) - 0.25 * np.log(0.25), -0.5 * np.log(0.75) - 0.5 * np.log(0.25)]
    np.testing.assert_allclose(losses, np.multiply(cross_entropies, [2.0, 3.0]), rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_row_of_zeros_has_no_loss_and_no_gradient(smoothing):
    targets = tf.constant([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(LOGITS)
        losses = class_losses(LOGITS[:2], targets, WEIGHTS, smoothing)
    gradients = tape.gradient(losses, LOGITS).numpy()
    assert float(losses[0]) == 0.0 < float(losses[1])
    np.testing.assert_array_equal(gradients[0], 0.0)
    assert gradients[1].any()


def test_one_hot_targets_give_the_sparse_cross_entropy_by_the_weight_of_their_class():
    losses = class_losses(LOGITS, ONE_HOT, WEIGHTS, 0.0)
    sparse = tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, LOGITS)
    np.testing.assert_allclose(losses, sparse * tf.gather(WEIGHTS, LABELS), rtol=1e-6)


def test_smoothed_one_hot_targets_by_hand():
    losses = class_losses(LOGITS, ONE_HOT, WEIGHTS, 0.3)
    log_p = log_probabilities(LOGITS)
    by_hand = -0.7 * log_p[range(6), LABELS] - 0.1 * log_p.sum(axis=1)
    np.testing.assert_allclose(losses, by_hand * np.array([0.5, 1.0, 3.0])[LABELS], rtol=1e-5)
