"""What holds for every metric in METRICS."""

from copy import deepcopy
from dataclasses import fields, replace

import numpy as np
import pytest

from melgan.metrics import METRICS
from melgan.metrics.comparison import Comparison
from tests.melgan.metrics.made_up_samples import made_up

EVALUATED, REFERENCE, TRAINING = (made_up(60, num_classes=3, seed=seed) for seed in range(3))

# Probabilities of a test are no estimates.
WITHOUT_INTERVAL = {"copies_features_p", "copies_pixels_p"}


def comparison(label=None):
    whole = Comparison(EVALUATED, REFERENCE, training=TRAINING)
    return whole if label is None else whole.of_class(label)


@pytest.mark.parametrize("label", [None, 2])
@pytest.mark.parametrize("name", METRICS)
def test_values_are_finite_and_lie_in_their_intervals(name, label):
    values = METRICS[name].estimate(comparison(label))
    assert values
    for own, interval in values.items():
        assert np.isfinite(interval.value)
        if own not in WITHOUT_INTERVAL:
            assert interval.low <= interval.value <= interval.high
            assert interval.low < interval.high


@pytest.mark.parametrize("name", METRICS)
def test_samples_stay_as_they_are(name):
    before = deepcopy((EVALUATED, REFERENCE, TRAINING))
    METRICS[name].estimate(comparison())
    for samples, known in zip((EVALUATED, REFERENCE, TRAINING), before, strict=True):
        for field in fields(samples):
            np.testing.assert_array_equal(getattr(samples, field.name), getattr(known, field.name))


@pytest.mark.parametrize("name", METRICS)
def test_same_comparison_same_values(name):
    first, again = (METRICS[name].estimate(comparison()) for _ in range(2))
    np.testing.assert_equal(*[{own: vars(interval) for own, interval in values.items()} for values in (first, again)])


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if not metric.reads_features])
def test_metrics_of_images_do_without_features(name):
    nothing = np.full((60, 1), np.nan)
    bare = [
        replace(side, features=nothing, views=None, probabilities=None) for side in (EVALUATED, REFERENCE, TRAINING)
    ]
    found = [METRICS[name].estimate(own) for own in (Comparison(*bare[:2], training=bare[2]), comparison())]
    np.testing.assert_equal(*[{own: vars(interval) for own, interval in values.items()} for values in found])


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if not metric.reads_real])
def test_metrics_of_evaluated_images_alone_are_the_same_beside_any_real_ones(name):
    found = [METRICS[name].estimate(Comparison(EVALUATED, other)) for other in (REFERENCE, TRAINING.take(np.arange(1)))]
    assert found[0] == found[1]


def test_names_of_values_are_unique():
    names = [own for metric in METRICS.values() for own in metric.estimate(comparison())]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", METRICS)
def test_it_is_told_what_is_better(name):
    assert METRICS[name].better in ("higher", "lower", "near real")
