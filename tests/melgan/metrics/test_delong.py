"""The standard error of areas under the ROC curve: by hand, by definition, and of patients with several images."""

import numpy as np
import pytest

from melgan.metrics.classification import auc
from melgan.metrics.delong import Area, area_of, mean_area, placements
from melgan.metrics.intervals import bootstrap_interval


def case(seed: int, size: int = 200, effect: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Positives and scores with ties."""
    rng = np.random.default_rng(seed)
    positive = rng.random(size) < 0.3
    return positive, np.round(rng.normal(positive * effect, 1), 1)


def single(positive, scores, groups=None, baseline=None) -> Area:
    groups = np.arange(len(scores)) if groups is None else groups
    others = None if baseline is None else baseline[None]
    return mean_area(positive, scores[None], folds=np.zeros(len(scores), int), groups=groups, baseline=others)


def test_components_and_variance_by_hand():
    """Positives 3 and 1, negatives 2 and 0: V10 is 1 and 0.5, V01 0.5 and 1, of variance 0.125 each."""
    positive, scores = np.array([True, True, False, False]), np.array([3.0, 1.0, 2.0, 0.0])
    assert placements(positive, scores).tolist() == [1, 0.5, 0.5, 1]
    area = single(positive, scores)
    assert (area.value, area.standard_error**2) == (0.75, pytest.approx(0.125))


def test_equal_scores_have_half_the_area():
    assert single(np.array([True, True, False, False]), np.ones(4)).value == 0.5


@pytest.mark.parametrize("seed", range(10))
def test_the_variance_is_that_of_the_definition(seed):
    """DeLong 1988, eq. 4 to 6, over all pairs."""
    positive, scores = case(seed)
    order = scores[positive][:, None] - scores[~positive]
    pairs = (order > 0) + 0.5 * (order == 0)
    by_definition = np.var(pairs.mean(1), ddof=1) / len(pairs) + np.var(pairs.mean(0), ddof=1) / len(pairs.T)
    area = single(positive, scores)
    assert area.value == pytest.approx(auc(positive, scores))
    assert area.standard_error**2 == pytest.approx(by_definition)


def test_the_variance_of_a_difference_takes_the_covariance_into_account():
    positive, scores = case(0)
    other = scores + np.random.default_rng(9).normal(0, 0.5, 200)
    components = np.stack([placements(positive, scores), placements(positive, other)])
    covariance = sum(np.cov(components[:, own]) / own.sum() for own in (positive, ~positive))
    difference = single(positive, other, baseline=scores)
    assert difference.value == pytest.approx(auc(positive, other) - auc(positive, scores))
    assert difference.standard_error**2 == pytest.approx([1, -1] @ covariance @ [1, -1])


def test_the_same_scores_twice_differ_by_nothing():
    positive, scores = case(1)
    difference = single(positive, scores, baseline=scores)
    assert (difference, difference.p_value) == (Area(0.0, 0.0), 1.0)


def test_monotone_maps_change_nothing():
    positive, scores = case(2)
    assert single(positive, np.exp(scores)) == single(positive, scores)


def test_p_by_hand():
    assert Area(0.0196, 0.01).p_value == Area(-0.0196, 0.01).p_value == pytest.approx(0.05, abs=1e-4)
    assert np.isnan(Area(0.5, 0.0).p_value)
    assert np.isnan(Area(0.0, np.nan).p_value)


def test_a_second_equal_image_of_every_patient_tells_nothing_new():
    positive, scores = case(3)
    twice = np.repeat(positive, 2), np.repeat(scores, 2)
    alone = single(positive, scores)
    clustered = single(*twice, groups=np.repeat(np.arange(200), 2))
    assert clustered.value == pytest.approx(alone.value)
    assert clustered.standard_error == pytest.approx(alone.standard_error)
    assert single(*twice).standard_error ** 2 == pytest.approx(alone.standard_error**2 / 2, rel=0.02)


def test_it_agrees_with_the_bootstrap_of_patients_who_have_images_of_both_kinds():
    rng = np.random.default_rng(4)
    patients = np.repeat(np.arange(100), 5)
    positive = rng.random(500) < 0.3
    scores = rng.normal(positive + np.repeat(rng.normal(0, 1, 100), 5), 1)
    clustered = single(positive, scores, groups=patients)
    drawn = bootstrap_interval(lambda rows: auc(positive[rows], scores[rows]), patients, seed=0, num_resamples=2000)
    assert 2 * 1.96 * clustered.standard_error == pytest.approx(drawn.high - drawn.low, rel=0.08)


def test_folds_are_independent_and_count_alike():
    positive, scores = case(5)
    folds = np.arange(200) % 4
    of_folds = [single(positive[folds == fold], scores[folds == fold]) for fold in range(4)]
    mean = mean_area(positive, scores[None] + 10 * folds, folds=folds, groups=np.arange(200))
    assert mean.value == pytest.approx(np.mean([area.value for area in of_folds]))
    assert mean.standard_error == pytest.approx(np.sqrt(sum(area.standard_error**2 for area in of_folds)) / 4)


def test_a_fold_without_a_class_does_not_count():
    positive, scores = case(6)
    folds = np.where(np.cumsum(positive) == positive.sum(), 1, 0)
    folds[np.flatnonzero(positive)[-1]] = 0
    first = folds == 0
    assert mean_area(positive, scores[None], folds=folds, groups=np.arange(200)) == single(
        positive[first], scores[first]
    )
    assert np.isnan(single(np.zeros(4, bool), np.arange(4)).value)


def test_one_patient_has_no_spread():
    area = area_of(np.array([True, False, False]), np.ones(3), np.arange(3))
    assert area.value == 1
    assert np.isnan(area.standard_error)
    assert np.isnan(area.p_value)
