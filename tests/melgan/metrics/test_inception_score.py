from dataclasses import replace

import numpy as np
import pytest

from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.inception_score import estimate, inception_score
from tests.melgan.metrics.made_up_samples import made_up


@pytest.mark.parametrize("num_classes", [2, 7, 1000])
def test_a_classifier_that_knows_nothing_scores_one(num_classes):
    assert inception_score(np.full((12, num_classes), 1 / num_classes)) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("num_classes", [1, 2, 7])
def test_sure_and_balanced_over_classes_scores_their_number(num_classes):
    assert inception_score(np.tile(np.eye(num_classes), (3, 1))) == pytest.approx(num_classes, rel=1e-12)


def test_sure_but_always_the_same_scores_one():
    assert inception_score(np.tile(np.eye(4)[2], (9, 1))) == 1


def test_two_images_by_hand():
    """Each is 9/10 sure of another class, the mean is even: KL = 0.9 log(0.9 / 0.5) + 0.1 log(0.1 / 0.5)."""
    expected = 1.8**0.9 * 0.2**0.1
    assert inception_score(np.array([[0.9, 0.1], [0.1, 0.9]])) == pytest.approx(expected, rel=1e-12)


def test_score_is_the_mean_over_splits():
    half = np.array([[1.0, 0.0, 0.0]] * 3)
    other = np.eye(3)
    rows = np.concatenate([half, other])
    assert inception_score(rows, splits=2) == pytest.approx((1 + 3) / 2, rel=1e-12)
    assert inception_score(rows, splits=6) == 1
    # of seven rows the first split has four
    assert inception_score(np.concatenate([half, other[:1], other]), splits=2) == pytest.approx(2, rel=1e-12)


def evaluated_by(probabilities):
    samples = made_up(len(probabilities), side=1)
    return Comparison(replace(samples, probabilities=probabilities), made_up(20, side=1, seed=1))


def test_splits_do_not_depend_on_images_coming_class_by_class():
    probabilities = np.repeat(np.eye(2), 1000, axis=0)
    assert inception_score(probabilities, splits=2) == 1
    assert estimate(evaluated_by(probabilities))["inception_score"].value == pytest.approx(2, rel=0.01)


def test_fewer_than_two_thousand_images_are_one_split():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 60)
    interval = estimate(evaluated_by(probabilities))["inception_score"]
    assert interval.value == pytest.approx(inception_score(probabilities), rel=1e-12)
    assert interval.low < interval.value < interval.high


def test_features_without_classes_have_no_score():
    with pytest.raises(MetricUnavailable, match="inception or classifier:RUN"):
        estimate(Comparison(replace(made_up(10), probabilities=None), made_up(10)))
