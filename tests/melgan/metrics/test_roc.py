"""The metrics that are read off a ROC curve, by hand, by definition and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from melgan.metrics.roc import (
    area,
    average_precision,
    partial_area,
    roc_curve,
    sensitivity_at,
    specificity_at,
    threshold_at_specificity,
)

RNG = np.random.default_rng(3)
CASES = [(RNG.random(size) < 0.3, RNG.integers(0, 15, size) / 15) for size in (40, 41, 200)]  # with ties


def cases():
    return pytest.mark.parametrize(("positive", "scores"), CASES, ids=["40", "41", "200"])


@cases()
@pytest.mark.parametrize("specificity", [0.0, 0.8, 0.9, 1.0])
def test_images_at_or_above_the_threshold_have_the_specificity_and_the_best_sensitivity(positive, scores, specificity):
    found = scores >= threshold_at_specificity(positive, scores, specificity)
    assert np.mean(~found[~positive]) >= specificity - 1e-9
    assert np.mean(found[positive]) == pytest.approx(sensitivity_at(roc_curve(positive, scores), specificity))


def test_no_threshold_has_the_specificity_where_an_image_of_the_others_is_first():
    assert threshold_at_specificity(np.array([True, False]), np.array([0.2, 0.7]), 1.0) == np.inf


def test_the_curve_by_hand():
    curve = roc_curve(np.array([True, False, True, False]), np.array([0.5, 0.5, 0.9, 0.1]))
    assert curve.true_positives.tolist() == [0, 1, 2, 2]
    assert curve.false_positives.tolist() == [0, 0, 1, 2]


@cases()
def test_areas_are_those_of_scikit_learn(positive, scores):
    curve = roc_curve(positive, scores)
    assert area(curve) == pytest.approx(roc_auc_score(positive, scores))
    assert average_precision(curve) == pytest.approx(average_precision_score(positive, scores))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.1, 0.2, 0.8, 0.9], 0.2), ([0.5] * 4, 0.02), ([0.9, 0.8, 0.2, 0.1], 0.0)],
    ids=["perfect", "constant", "reversed"],
)
def test_the_partial_area_is_between_nothing_and_a_fifth(scores, expected):
    curve = roc_curve(np.array([False, False, True, True]), np.array(scores))
    assert partial_area(curve, 0.8) == pytest.approx(expected)


def test_the_partial_area_by_hand():
    """Sensitivity 4/5 before any false positive, the fifth melanoma behind one of four benign images: 0.2 x 3/4."""
    curve = roc_curve(np.array([True] * 4 + [False, True] + [False] * 3), np.arange(9, 0, -1) / 10)
    assert partial_area(curve, 0.8) == pytest.approx(0.15)
    # Above 0.7 half of the step to the fourth melanoma counts too: 0.1 x 1.
    assert partial_area(curve, 0.7) == pytest.approx(0.25)


@cases()
@pytest.mark.parametrize("sensitivity", [0.8, 0.9, 0.33])
def test_the_partial_area_is_that_of_the_mirrored_curve_in_the_standard_of_mcclish(positive, scores, sensitivity):
    """scikit-learn scales the area up to the same rate of false positives, here of the other class, into [0.5, 1]."""
    widest = 1 - sensitivity
    scaled = roc_auc_score(~positive, -scores, max_fpr=widest)
    guessed, perfect = widest**2 / 2, widest
    plain = guessed + (2 * scaled - 1) * (perfect - guessed)
    assert partial_area(roc_curve(positive, scores), sensitivity) == pytest.approx(plain)


@cases()
def test_above_no_sensitivity_the_partial_area_is_the_whole(positive, scores):
    curve = roc_curve(positive, scores)
    assert partial_area(curve, 0.0) == pytest.approx(area(curve))
    assert partial_area(curve, 1.0) == pytest.approx(0.0)


@pytest.mark.parametrize(
    "change", [lambda s: s**3, lambda s: 100 * s - 7, lambda s: 1e-20 * s], ids=["^3", "x", "tiny"]
)
def test_scores_may_have_any_scale(change):
    positive, scores = CASES[2]
    before, after = roc_curve(positive, scores), roc_curve(positive, change(scores))
    assert partial_area(after, 0.8) == partial_area(before, 0.8)


@cases()
@pytest.mark.parametrize("sensitivity", [0.0, 0.5, 0.8, 0.9, 0.95, 1.0])
def test_the_specificity_is_the_best_of_all_thresholds(positive, scores, sensitivity):
    thresholds = [*np.unique(scores), np.inf]
    allowed = [at for at in thresholds if np.mean(scores[positive] >= at) >= sensitivity]
    best = max(np.mean(scores[~positive] < at) for at in allowed)
    assert specificity_at(roc_curve(positive, scores), sensitivity) == pytest.approx(best)
