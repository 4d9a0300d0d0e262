import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.objectives import OBJECTIVES

LOGITS = tf.constant([-1.5, 0.0, 2.0])


@pytest.fixture(params=OBJECTIVES.values(), ids=list(OBJECTIVES))
def objective(request):
    return request.param


def log_sigmoid(logits):
    return -np.log1p(np.exp(-np.asarray(logits, np.float64)))


@pytest.mark.parametrize(("wrong_label_logits", "terms"), [(None, 2), (tf.zeros(1), 3)], ids=["plain", "wrong_labels"])
def test_undecided_sigmoid_discriminator_loses_ln_2_for_every_term(wrong_label_logits, terms):
    losses = OBJECTIVES["sigmoid_cross_entropy"].discriminator(tf.zeros(1), tf.zeros(1), wrong_label_logits)
    np.testing.assert_allclose(losses, [terms * np.log(2)], rtol=1e-6)


def test_sigmoid_discriminator_is_the_sum_of_log_probabilities():
    real, fake, wrong_label = [0.5, -2.0, 3.0], [1.0, 0.0, -4.0], [-0.5, 2.5, 1.0]
    losses = OBJECTIVES["sigmoid_cross_entropy"].discriminator(*map(tf.constant, (real, fake, wrong_label)))
    by_hand = -log_sigmoid(real) - log_sigmoid(-np.array(fake)) - log_sigmoid(-np.array(wrong_label))
    np.testing.assert_allclose(losses, by_hand, rtol=1e-5)


def test_sigmoid_generator_does_not_saturate():
    losses = OBJECTIVES["sigmoid_cross_entropy"].generator(tf.constant([0.0, -50.0, 3.0]), None)
    np.testing.assert_allclose(losses, [np.log(2), 50.0, np.log1p(np.exp(-3.0))], rtol=1e-5)


def test_wasserstein_losses_by_hand():
    objective = OBJECTIVES["wasserstein"]
    losses = objective.discriminator(tf.constant([0.5, -2.0, 3.0]), tf.constant([1.0, 0.0, -4.0]), None)
    np.testing.assert_allclose(losses, [0.5, 2.0, -7.0])
    np.testing.assert_allclose(objective.generator(tf.constant([1.5, -2.0]), None), [-1.5, 2.0])


def test_drift_by_hand():
    """To D(fake) - D(real), 0.001 times 10^2, 100^2 and 0 come."""
    objective = OBJECTIVES["wasserstein_drift"]
    losses = objective.discriminator(tf.constant([10.0, -100.0, 0.0]), tf.constant([1.0, 2.0, -4.0]), None)
    np.testing.assert_allclose(losses, [-8.9, 112.0, -4.0], rtol=1e-6)
    np.testing.assert_allclose(objective.generator(tf.constant([1.5, -2.0]), None), [-1.5, 2.0])


def test_hinge_losses_by_hand():
    objective = OBJECTIVES["hinge"]
    real, fake, wrong_label = (
        tf.constant([0.5, -2.0, 3.0]),
        tf.constant([1.0, -0.5, -4.0]),
        tf.constant([0.0, -2.0, 2.0]),
    )
    np.testing.assert_allclose(objective.discriminator(real, fake, None), [2.5, 3.5, 0.0])
    np.testing.assert_allclose(objective.discriminator(real, fake, wrong_label), [3.5, 3.5, 3.0])
    np.testing.assert_allclose(objective.generator(fake, None), [-1.0, 0.5, 4.0])


def test_softmax_losses_by_hand():
    objective = OBJECTIVES["softmax_cross_entropy"]
    real, fake = np.log([0.5, 0.25]), np.log([0.125, 0.5])
    losses = objective.discriminator(tf.constant(real), tf.constant(fake), None)
    np.testing.assert_allclose(losses, [4 * np.log(2), 3 * np.log(2)])
    np.testing.assert_allclose(objective.generator(tf.constant(fake), None), [3 * np.log(2), np.log(2)])


def test_relativistic_losses_are_of_pairs():
    """Margins of 1, -2 and 0, seen from either side."""
    objective = OBJECTIVES["relativistic"]
    real, fake = tf.constant([2.0, -1.0, 4.0]), tf.constant([1.0, 1.0, 4.0])
    np.testing.assert_allclose(objective.discriminator(real, fake, None), [0.313262, 2.126928, np.log(2)], rtol=1e-5)
    np.testing.assert_allclose(objective.generator(fake, real), [1.313262, 0.126928, np.log(2)], rtol=1e-5)


def test_discriminator_gains_from_high_real_and_low_other_logits(objective):
    logits = [tf.Variable(tf.zeros(2)) for _ in range(3)]
    with tf.GradientTape() as tape:
        losses = objective.discriminator(*(value.value() for value in logits))
    real, fake, wrong_label = tape.gradient(losses, logits)
    assert tf.reduce_all(real < 0)
    # Of a softmax, fakes are shown with the label of fakes.
    assert tf.reduce_all(fake < 0 if objective.has_fake_class else fake > 0)
    assert tf.reduce_all(wrong_label > 0) if objective.takes_wrong_labels else wrong_label is None


def test_generator_gains_from_high_fake_logits(objective):
    fake = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        losses = objective.generator(fake.value(), tf.zeros(3) if objective.needs_real_logits else None)
    assert tf.reduce_all(tape.gradient(losses, fake) < 0)


@pytest.mark.parametrize("position", range(3))
def test_losses_are_per_example(objective, position):
    changed = tf.tensor_scatter_nd_add(LOGITS, [[position]], [1.0])
    others = np.arange(3) != position
    for losses, after in (
        (objective.discriminator(LOGITS, LOGITS, LOGITS), objective.discriminator(LOGITS, changed, LOGITS)),
        (objective.generator(LOGITS, LOGITS), objective.generator(changed, LOGITS)),
    ):
        assert losses.shape == (3,)
        np.testing.assert_array_equal(losses[others], after[others])
        assert losses[position] != after[position]


@pytest.mark.parametrize("logit", [-1000.0, 1000.0])
def test_losses_are_finite_at_extreme_logits(objective, logit):
    extreme = tf.constant([logit])
    assert np.isfinite(objective.discriminator(extreme, extreme, extreme)).all()
    assert np.isfinite(objective.generator(extreme, extreme)).all()
