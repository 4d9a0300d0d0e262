"""Ensembles of several models' probabilities, and the weights that are fitted to them."""

import numpy as np
import pytest
import scipy.special

from melgan.classifiers.ensembles import (
    ENSEMBLES,
    Weights,
    cross_fitted,
    equal_weights,
    fit_weights,
    geometric_mean,
    logit_sum,
    out_of_fold_gain,
    rank_mean,
    weighted_mean,
)
from melgan.metrics.classification import auc

RNG = np.random.default_rng(0)
PROBABILITIES = RNG.random((3, 50))


def simulated(count: int, noise: tuple[float, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of models that see a hidden logit with more or less noise, and the labels."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(-1, 1.5, count)
    seen = hidden + rng.normal(0, 1, (len(noise), count)) * np.array(noise)[:, None]
    return scipy.special.expit(seen), rng.random(count) < scipy.special.expit(hidden)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_every_ensemble_stays_in_bounds_and_keeps_the_order_of_a_single_model(name):
    combine = ENSEMBLES[name].combine
    extreme = np.concatenate([PROBABILITIES, [[0.0, 1.0] * 25]])
    combined = combine(extreme, equal_weights(4))
    assert combined.shape == (50,)
    assert ((combined >= 0) & (combined <= 1)).all()
    alone = combine(PROBABILITIES[:1], equal_weights(1))
    np.testing.assert_array_equal(np.argsort(alone), np.argsort(PROBABILITIES[0]))


def test_eight_parts_in_ten_of_the_mean_of_eight_and_two_of_a_ninth():
    nine = RNG.random((9, 100))
    expected = 0.8 * nine[:8].mean(axis=0) + 0.2 * nine[8]
    np.testing.assert_allclose(weighted_mean(nine, Weights(np.array([0.1] * 8 + [0.2]))), expected, atol=1e-12)
    np.testing.assert_allclose(weighted_mean(nine, Weights(np.array([1.0] * 8 + [2.0]))), expected, atol=1e-12)


def test_equal_weights_are_the_mean():
    np.testing.assert_allclose(weighted_mean(PROBABILITIES, equal_weights(3)), PROBABILITIES.mean(axis=0))


def test_ranks_by_hand():
    scores = np.array([[0.1, 0.9, 0.5, 0.5], [7.0, -3.0, 0.0, 100.0]])
    np.testing.assert_allclose(
        rank_mean(scores, equal_weights(2)), [(0.5 + 2.5) / 8, 4 / 8, (2 + 1.5) / 8, (2 + 3.5) / 8]
    )


def test_ranks_do_not_change_with_the_scale_of_any_model():
    other = np.stack([np.exp(PROBABILITIES[0]), PROBABILITIES[1] * 50 - 7, PROBABILITIES[2]])
    np.testing.assert_array_equal(rank_mean(other, equal_weights(3)), rank_mean(PROBABILITIES, equal_weights(3)))


def test_the_geometric_mean_by_hand():
    assert geometric_mean(np.array([[0.9, 0.5], [0.4, 0.0]]), equal_weights(2)) == pytest.approx([0.6, 0.0])


def test_the_sum_of_logits_by_hand():
    """Odds of 4 and 1, the root of the first, times e."""
    found = logit_sum(np.array([[0.8], [0.5]]), Weights(np.array([0.5, 3.0]), intercept=1.0))
    assert found == pytest.approx([2 * np.e / (1 + 2 * np.e)])


def test_fitted_weights_find_the_one_model_that_knows():
    probabilities, positive = simulated(4000, (0.0, 1.0, 10.0))
    weights = fit_weights(probabilities, positive)
    assert weights.of_models == pytest.approx([1, 0, 0], abs=0.12)
    assert weights.intercept == pytest.approx(0, abs=0.15)


def test_fitted_weights_are_never_negative_though_a_model_be_wrong():
    probabilities, positive = simulated(1000, (0.5, 0.5))
    probabilities[1] = 1 - probabilities[1]
    assert (fit_weights(probabilities, positive).of_models >= 0).all()


def test_fitted_weights_are_finite_where_no_mistake_is_made():
    positive = np.arange(20) < 5
    assert np.isfinite(fit_weights(np.stack([positive, positive]).astype(float), positive).of_models).all()


def test_the_gain_is_found_where_there_is_one_and_not_where_there_is_none():
    settings = {"folds": np.arange(1500) % 5, "groups": np.arange(1500) // 3, "seed": 0}
    useful = out_of_fold_gain(*simulated(1500, (0.3, 6.0)), **settings)
    assert useful.low > 0
    equal = out_of_fold_gain(*simulated(1500, (1.0, 1.0)), **settings)
    assert equal.low < 0.002
    assert equal.value < 0.01


def test_models_that_know_nothing_gain_nothing_though_weights_fitted_to_the_same_labels_would():
    within, out_of_fold = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        nothing, positive = rng.random((8, 400)), rng.random(400) < 0.3
        plain = auc(positive, nothing.mean(axis=0))
        within.append(auc(positive, logit_sum(nothing, fit_weights(nothing, positive))) - plain)
        out_of_fold.append(auc(positive, cross_fitted(nothing, positive, np.arange(400), seed)) - plain)
    assert np.mean(within) > 0.02
    assert np.mean(out_of_fold) < 0.01
