import numpy as np
import pytest

from melgan.metrics import comparison as comparison_module
from melgan.metrics.comparison import NEAREST, Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.similarities import compare
from tests.melgan.metrics.made_up_samples import made_up


def test_order_is_a_shuffle_of_both_sides_that_the_seed_decides():
    evaluated, reference = made_up(30), made_up(20)
    orders = [Comparison(evaluated, reference, seed=seed).order for seed in (1, 1, 2)]
    for rows, again, other, count in zip(*orders, (30, 20), strict=True):
        np.testing.assert_array_equal(np.sort(rows), np.arange(count))
        np.testing.assert_array_equal(rows, again)
        assert (rows != other).any()
        assert (rows != np.arange(count)).any()


@pytest.mark.parametrize(("count", "groups", "expected"), [(30, 30, 10), (30, 7, 7), (4, 4, 4), (2, 2, 2)])
def test_both_sides_have_as_many_parts_as_the_smaller_has_groups_and_ten_at_most(count, groups, expected):
    sides = made_up(count, groups=np.arange(count) % groups), made_up(50)
    for evaluated, reference in (sides, sides[::-1]):
        for parts in Comparison(evaluated, reference).parts:
            np.testing.assert_array_equal(np.unique(parts), np.arange(expected))


def test_every_row_is_left_out_once_and_groups_whole():
    groups = np.arange(33) // 3
    comparison = Comparison(made_up(33, groups=groups), made_up(41))
    left_out = list(comparison.leaving_parts_out())
    assert len(left_out) == 10
    for side, count in enumerate((33, 41)):
        missing = [np.setdiff1d(np.arange(count), rows[side]) for rows in left_out]
        np.testing.assert_array_equal(np.sort(np.concatenate(missing)), np.arange(count))
        assert all(len(np.unique(rows[side])) == len(rows[side]) for rows in left_out)
    for rows, _ in left_out:
        assert not set(groups[rows]) & set(np.delete(groups, rows))


def test_one_group_leaves_nothing_when_it_is_left_out():
    comparison = Comparison(made_up(6, groups=np.zeros(6, int)), made_up(6))
    assert [(len(rows), len(others)) for rows, others in comparison.leaving_parts_out()] == [(0, 0)]


def test_comparison_of_a_class_knows_the_whole_and_all_training_images():
    training = made_up(9)
    whole = Comparison(made_up(10), made_up(21, seed=1), training=training, seed=5)
    part = whole.of_class(1)
    assert (len(part.evaluated), len(part.reference), part.label, part.seed) == (5, 10, 1, 5)
    assert set(part.evaluated.labels) == set(part.reference.labels) == {1}
    assert part.whole is whole
    assert whole.whole is whole
    assert whole.label is None
    assert part.training is training


def test_what_is_asked_for_by_one_name_is_computed_once():
    comparison, asked = Comparison(made_up(4), made_up(4)), []
    for name in ("a", "a", "b", "a"):
        assert comparison.once(name, lambda name=name: asked.append(name) or name) == name
    assert asked == ["a", "b"]


def test_similarities_take_one_pass_and_know_the_parts(monkeypatch):
    passes = []

    def counted(*arguments, **settings):
        passes.append(settings["nearest"])
        return compare(*arguments, **settings)

    monkeypatch.setattr(comparison_module, "compare", counted)
    comparison = Comparison(made_up(20), made_up(15, seed=1))
    assert comparison.similarities is comparison.similarities
    assert passes == [NEAREST]
    assert comparison.similarities.cross_sums.shape == (10, 10)


@pytest.mark.parametrize(("count", "reference_count", "nearest"), [(4, 20, 3), (20, 3, 2), (2, 2, 1)])
def test_few_images_have_fewer_neighbours(count, reference_count, nearest, monkeypatch):
    asked = []
    monkeypatch.setattr(comparison_module, "compare", lambda *_, **settings: asked.append(settings["nearest"]))
    assert Comparison(made_up(count), made_up(reference_count)).similarities is None
    assert asked == [nearest]


@pytest.mark.parametrize("side", ["evaluated", "real"])
def test_features_that_are_not_finite_are_named_by_side(side):
    evaluated, reference = made_up(8), made_up(8)
    Comparison(evaluated, reference).require_finite()
    (evaluated if side == "evaluated" else reference).features[[1, 4]] = np.nan
    with pytest.raises(MetricUnavailable, match=f"2 of 8 {side}"):
        Comparison(evaluated, reference).require_finite()
