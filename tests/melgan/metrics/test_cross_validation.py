"""Metrics of out-of-fold predictions: means of the folds, and areas over ranks within them."""

import numpy as np
import pytest

from melgan.metrics.classification import AUC, classification_metrics, macro_auc
from melgan.metrics.cross_validation import (
    MEAN_AUC,
    POOLED_RANK_AUC,
    cross_validation_metrics,
    mean_over_folds,
    ranks_within_folds,
)

CLASSES = ("benign", "malignant")
FOLDS = np.repeat([0, 1], 4)
LABELS = np.array([0, 1, 0, 1, 0, 0, 1, 1])
# Perfect in fold 0, three of four pairs in order in fold 1, whose model says less of everything.
MALIGNANT = np.array([0.6, 0.9, 0.7, 0.8, 0.1, 0.3, 0.2, 0.4])
SCORES = np.stack([1 - MALIGNANT, MALIGNANT], axis=1)


def value(name: str, labels=LABELS, scores=SCORES, folds=FOLDS) -> float:
    return cross_validation_metrics(labels, scores, folds, CLASSES)[name]


def test_the_mean_area_is_that_of_the_folds_by_hand():
    assert value(MEAN_AUC) == pytest.approx((1 + 3 / 4) / 2)


def test_the_pooled_area_is_over_ranks_by_hand():
    np.testing.assert_array_equal(ranks_within_folds(SCORES, FOLDS)[:, 1], [0.25, 1, 0.5, 0.75, 0.25, 0.75, 0.5, 1])
    # Malignant 1, 0.75, 0.5 and 1 against benign 0.25, 0.5, 0.25 and 0.75: 4 + 3.5 + 2.5 + 4 of 16 pairs, ties half.
    assert value(POOLED_RANK_AUC) == pytest.approx(14 / 16)


def test_the_scores_of_a_fold_may_be_of_any_scale():
    plain = macro_auc(LABELS, SCORES)
    shifted = np.where(FOLDS[:, None] == 1, SCORES + [[-0.5, 0.5]], SCORES)
    assert macro_auc(LABELS, shifted) != pytest.approx(plain)
    for name in (MEAN_AUC, POOLED_RANK_AUC, "sensitivity_at_0.80_specificity"):
        assert value(name, scores=shifted) == pytest.approx(value(name))


def test_a_fold_without_a_class_does_not_count():
    labels = np.where(FOLDS == 1, 0, LABELS)
    assert value(MEAN_AUC, labels) == 1.0
    assert np.isnan(value(MEAN_AUC, np.zeros(8, int)))


def test_folds_count_alike_whatever_their_size():
    folds = np.array([0, 0, 1, 1, 1, 1, 1, 1])
    mean = mean_over_folds(lambda labels, scores: float(scores[0, 1]), LABELS, SCORES, folds)
    assert mean == pytest.approx((0.6 + 0.7) / 2)


def test_calibration_is_that_of_each_model():
    """Two models of which one says too much and the other too little are not calibrated together."""
    scores = np.where(FOLDS == 0, 0.7, 0.3)
    assert value("calibration_error", scores=np.stack([1 - scores, scores], axis=1)) == pytest.approx(0.2)
    assert value("brier_score", scores=np.stack([1 - scores, scores], axis=1)) == pytest.approx((0.49 + 0.09) / 2)


@pytest.mark.parametrize("classes", [CLASSES, ("ring", "trophozoite", "schizont")])
def test_one_fold_has_the_metrics_of_its_predictions(classes):
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, len(classes), 50), rng.dirichlet(np.ones(len(classes)), 50)
    expected = classification_metrics(labels, scores, classes)
    found = cross_validation_metrics(labels, scores, np.zeros(50, int), classes)
    assert next(iter(found)) == MEAN_AUC
    assert found.pop(MEAN_AUC) == pytest.approx(found.pop(POOLED_RANK_AUC)) == pytest.approx(expected.pop(AUC))
    assert found == expected
