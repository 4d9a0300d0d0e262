from dataclasses import fields, replace

import numpy as np
import pytest

from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.samples import Samples, require_finite
from tests.melgan.metrics.made_up_samples import made_up

SAMPLES = made_up(7, labels=[2, 0, 1, 0, 2, 2, 0], groups=[9, 9, 4, 4, 1, 1, 1])


def rows_of(samples):
    """The rows of SAMPLES that samples are, which must be the same in every field."""
    found = []
    for field in fields(Samples):
        values, known = getattr(samples, field.name), getattr(SAMPLES, field.name)
        assert len(values) == len(samples)
        found.append([{row for row in range(len(known)) if np.all(known[row] == value)} for value in values])
    return [sorted(set.intersection(*candidates)) for candidates in zip(*found, strict=True)]


@pytest.mark.parametrize("rows", [[3, 0, 3], [], [6]])
def test_rows_are_taken_of_every_field(rows):
    assert rows_of(SAMPLES.take(np.array(rows, int))) == [[row] for row in rows]


def test_a_mask_takes_rows_too():
    assert rows_of(SAMPLES.take(SAMPLES.groups == 4)) == [[2], [3]]


@pytest.mark.parametrize(("label", "rows"), [(0, [1, 3, 6]), (1, [2]), (2, [0, 4, 5]), (3, [])])
def test_samples_of_a_class(label, rows):
    assert rows_of(SAMPLES.of_class(label)) == [[row] for row in rows]


@pytest.mark.parametrize(
    ("counts", "rows"),
    [([2, 1, 1], [0, 1, 2, 3]), ([0, 0, 2], [0, 4]), ([9, 9, 9], range(7)), ([0, 0, 0], []), ([1, 0, 0, 5], [1])],
)
def test_first_of_each_class_in_the_order_as_they_came(counts, rows):
    assert rows_of(SAMPLES.first(np.array(counts))) == [[row] for row in rows]


def test_what_there_is_not_stays_away():
    bare = replace(SAMPLES, probabilities=None, views=None).take(np.array([1, 2]))
    assert bare.probabilities is None
    assert bare.views is None
    assert len(bare) == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(6, 4), (6, 8, 4)], ids=["features", "views"])
def test_images_with_features_that_are_not_finite_are_counted(bad, shape):
    features = np.zeros(shape)
    require_finite(features, "real")
    features[2] = features[5, ..., -1] = bad
    with pytest.raises(MetricUnavailable, match="2 of 6 real"):
        require_finite(features, "real")


def test_samples_of_each_class_are_drawn_at_random():
    samples = made_up(300, num_classes=3)
    drawn, again, other = (samples.draw(np.array([20, 5, 999]), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(np.bincount(drawn.labels), [20, 5, 100])
    np.testing.assert_array_equal(drawn.names, again.names)
    assert (drawn.names != other.names).any()
    assert len(set(drawn.names)) == 125
    assert drawn.take(drawn.labels == 0).names.tolist() != samples.first(np.array([20])).names.tolist()
