"""Metrics of parts of the images: by hand, and at the threshold that all have in common."""

import math

import numpy as np
import pytest

from melgan.metrics.classification import auc
from melgan.metrics.cross_validation import ranks_within_folds
from melgan.metrics.subgroups import scored_images, subgroup_metrics


def test_a_part_has_its_own_sensitivity_at_the_threshold_of_all():
    """Ten negatives from 0.0 to 0.9, of which one may lie at or above the threshold: it is 0.9."""
    scores = np.concatenate([np.arange(10) / 10, [0.95, 0.92, 0.5, 0.2]])
    positive = np.arange(14) >= 10
    folds, groups = np.zeros(14, int), np.arange(14)
    images = scored_images(positive, scores, folds, groups, specificity=0.9)
    assert np.flatnonzero(images.flagged).tolist() == [9, 10, 11]
    first, second = np.array([0, 1, 9, 10, 11]), np.array([2, 3, 4, 5, 6, 7, 8, 12, 13])
    of_first, of_second = (subgroup_metrics(images, rows, seed=0) for rows in (first, second))
    assert (of_first["sensitivity"].value, of_second["sensitivity"].value) == (1.0, 0.0)
    assert (of_first["specificity"].value, of_second["specificity"].value) == (pytest.approx(2 / 3), 1.0)
    assert of_first["auc"].value == 1.0
    assert of_second["auc"].value == pytest.approx((3.5 + 0.5) / 14)  # 0.5 above 3 and beside 1 of 7, 0.2 beside 1
    assert all(metric.low <= metric.value <= metric.high for metric in of_second.values())


def test_folds_have_thresholds_and_ranks_of_their_own():
    rng = np.random.default_rng(0)
    positive, folds = rng.random(400) < 0.3, np.arange(400) % 2
    scores = rng.random(400) + positive
    images = scored_images(positive, scores + 100 * folds, folds, np.arange(400), specificity=0.8)
    alike = scored_images(positive, scores, folds, np.arange(400), specificity=0.8)
    np.testing.assert_array_equal(images.flagged, alike.flagged)
    for fold in (0, 1):
        own = folds == fold
        assert (~images.flagged[own & ~positive]).mean() >= 0.8
    everything = subgroup_metrics(images, np.arange(400), seed=0)["auc"]
    assert everything.value == auc(positive, ranks_within_folds(scores[:, None], folds)[:, 0])
    half = subgroup_metrics(images, np.arange(40), seed=0)["auc"]
    assert half.high - half.low > everything.high - everything.low  # of fewer images less is known


def test_what_a_part_has_none_of_is_not_known():
    positive, folds = np.array([False, False, True, True]), np.zeros(4, int)
    images = scored_images(positive, np.array([0.1, 0.2, 0.3, 0.4]), folds, np.arange(4), specificity=0.9)
    metrics = subgroup_metrics(images, np.array([0, 1]), seed=0)
    assert math.isnan(metrics["auc"].value)
    assert math.isnan(metrics["sensitivity"].value)
    assert metrics["specificity"].value == 1.0
