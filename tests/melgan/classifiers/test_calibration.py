"""Temperature scaling and prior correction: what they undo, and what they leave."""

import numpy as np
import pytest
import scipy.special

from melgan.classifiers.calibration import fit_temperature, scale_temperature, shift_prior
from melgan.metrics.classification import auc

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 1.5, (4000, 3))
CALIBRATED = scipy.special.softmax(LOGITS, axis=1)
LABELS = (RNG.random((4000, 1)) > CALIBRATED.cumsum(axis=1)).sum(axis=1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_logits_that_were_scaled_have_that_temperature(factor):
    once = fit_temperature(CALIBRATED, LABELS)
    scaled = scipy.special.softmax(factor * LOGITS, axis=1)
    assert once == pytest.approx(1, abs=0.06)
    assert fit_temperature(scaled, LABELS) == pytest.approx(factor * once, rel=1e-3)
    np.testing.assert_allclose(scale_temperature(scaled, factor), CALIBRATED, atol=1e-6)


def test_a_temperature_keeps_the_order_of_two_classes():
    probabilities = CALIBRATED[:, :2] / CALIBRATED[:, :2].sum(axis=1, keepdims=True)
    cooled = scale_temperature(probabilities, 2.5)
    assert auc(LABELS == 1, cooled[:, 1]) == auc(LABELS == 1, probabilities[:, 1])
    assert not np.allclose(cooled, probabilities)


def test_the_temperature_is_finite_where_no_mistake_is_made():
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert 0.04 < fit_temperature(sure, np.array([0, 1])) <= 20
    assert 0.04 < fit_temperature(sure, np.array([1, 0])) <= 20.01
    assert np.isfinite(scale_temperature(sure, 0.05)).all()


def test_the_odds_are_multiplied_by_the_ratio_of_the_priors():
    shifted = shift_prior(np.array([[0.2, 0.8], [0.9, 0.1]]), np.array([0.5, 0.5]), np.array([0.98, 0.02]))
    np.testing.assert_allclose(shifted[:, 1] / shifted[:, 0], np.array([4, 1 / 9]) * 0.02 / 0.98)
    np.testing.assert_allclose(shifted.sum(axis=1), 1)


def test_the_same_prior_changes_nothing():
    np.testing.assert_allclose(
        shift_prior(CALIBRATED, np.array([0.5, 0.2, 0.3]), np.array([0.5, 0.2, 0.3])), CALIBRATED
    )


def test_a_class_that_was_not_trained_has_no_ratio():
    shifted = shift_prior(np.array([[0.5, 0.4, 0.1]]), np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(shifted, [[0.5, 0.4, 0.1]])


def test_predictions_for_one_mix_become_those_of_another():
    """Two normal classes, whose posterior is known for any mix."""
    x = np.linspace(-3, 3, 7)
    of_class = np.stack([np.exp(-((x + 1) ** 2) / 2), np.exp(-((x - 1) ** 2) / 2)], axis=1)
    trained, real = np.array([0.4, 0.6]), np.array([0.98, 0.02])
    posteriors = [of_class * mix / (of_class * mix).sum(axis=1, keepdims=True) for mix in (trained, real)]
    np.testing.assert_allclose(shift_prior(posteriors[0], trained, real), posteriors[1])
