"""Weights are whole numbers here: an image of weight 2 is an image that comes twice."""

from functools import partial

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from melgan.metrics.areas import areas, mean_of_folds, of_each_fold, sensitivities
from melgan.metrics.roc import roc_curve, sensitivity_at


@pytest.fixture(params=[False, True], ids=["no ties", "ties"])
def scored(request):
    rng = np.random.default_rng(5)
    positive = rng.random(80) < 0.25
    scores = rng.normal(positive)
    return positive, scores.round(0) if request.param else scores, rng.integers(0, 4, (30, 80)).astype(np.float32)


def repeated(positive, scores, weights):
    rows = np.repeat(np.arange(len(positive)), weights.astype(int))
    return positive[rows], scores[rows]


def test_areas_are_those_of_repeated_images(scored):
    positive, scores, weights = scored
    expected = [roc_auc_score(*repeated(positive, scores, row)) for row in weights]
    np.testing.assert_allclose(areas(positive, scores, weights), expected, rtol=1e-6)


@pytest.mark.parametrize("specificity", [0.5, 0.8, 0.9, 0.999])
def test_sensitivities_are_those_of_repeated_images(scored, specificity):
    positive, scores, weights = scored
    expected = [sensitivity_at(roc_curve(*repeated(positive, scores, row)), specificity) for row in weights]
    np.testing.assert_allclose(sensitivities(positive, scores, weights, specificity), expected, rtol=1e-6)


def test_without_weight_on_a_side_there_is_no_value():
    positive, scores = np.array([True, False]), np.array([1.0, 0.0])
    weights = np.array([[1, 1], [0, 1], [1, 0]], np.float32)
    np.testing.assert_array_equal(areas(positive, scores, weights), [1, np.nan, np.nan])
    np.testing.assert_array_equal(sensitivities(positive, scores, weights, 0.9), [1, np.nan, np.nan])


def test_the_mean_leaves_out_folds_without_a_value():
    positive = np.array([True, False, True, False, False])
    scores, folds = np.array([1.0, 0.0, 0.0, 1.0, 2.0]), np.array([0, 0, 1, 1, 2])
    weights = np.ones((1, 5), np.float32)
    np.testing.assert_array_equal(mean_of_folds(areas, positive, scores, folds, weights), [0.5])
    found = of_each_fold(partial(sensitivities, specificity=0.5), positive, scores, folds, weights)
    assert [fold for fold, _ in found] == [0, 1, 2]
    np.testing.assert_array_equal(np.concatenate([value for _, value in found]), [1, 0, np.nan])
