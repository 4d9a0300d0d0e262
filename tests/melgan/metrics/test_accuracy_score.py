import numpy as np
import pytest

from melgan.metrics import accuracy_score
from melgan.metrics.accuracy_score import estimate, estimate_reverse, transferred_hits
from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from tests.melgan.metrics.made_up_samples import made_up


def separable(labels, seed=0, order=(0, 1, 2)):
    """Samples of three classes that lie far apart, in one feature each; `order` tells which."""
    labels = np.asarray(labels)
    features = np.random.default_rng(seed).normal(0, 0.1, (len(labels), 3)) + np.eye(3)[np.array(order)[labels]]
    return made_up(len(labels), labels=labels, features=features)


IN_TURNS = np.arange(60) % 3
RARE = np.array([0] * 40 + [1] * 12 + [2] * 3)


def test_classes_that_lie_where_they_should_are_all_recognised():
    assert transferred_hits(separable(IN_TURNS), separable(RARE, seed=1)).all()


def test_classes_that_were_mixed_up_are_not_recognised():
    hits = transferred_hits(separable(IN_TURNS, order=(1, 0, 2)), separable(RARE, seed=1))
    np.testing.assert_array_equal(hits, RARE == 2)


def test_rare_classes_weigh_as_much_as_frequent_ones():
    """Two normal classes in one feature, one in twenty of the second: the boundary lies half-way all the same."""
    labels = np.array([0] * 1000 + [1] * 50)
    training = made_up(1050, labels=labels, features=np.random.default_rng(0).normal(size=(1050, 1)) + labels[:, None])
    evaluated = made_up(41, labels=np.ones(41, int), features=np.linspace(-0.5, 1.5, 41)[:, None])
    hits = transferred_hits(training, evaluated)
    boundary = evaluated.features[hits].min()
    assert hits.sum() == (evaluated.features >= boundary).sum()
    assert boundary == pytest.approx(0.5, abs=0.25)


def test_units_of_features_do_not_matter():
    training, evaluated = made_up(60), made_up(40, seed=1)
    units = 10.0 ** np.arange(-3, 3)
    scaled = [made_up(len(side), features=side.features * units) for side in (training, evaluated)]
    np.testing.assert_array_equal(transferred_hits(training, evaluated), transferred_hits(*scaled))


@pytest.mark.parametrize(
    ("training", "evaluated"), [([0, 1, 0, 1], [0, 1, 2]), ([0, 0, 0], [0, 0])], ids=["a class is missing", "only one"]
)
def test_a_class_that_cannot_be_learnt_is_refused(training, evaluated):
    with pytest.raises(MetricUnavailable):
        transferred_hits(separable(training), separable(evaluated))


def test_over_all_classes_it_is_the_mean_of_theirs_in_both_directions():
    evaluated, reference = separable(IN_TURNS, order=(1, 0, 2)), separable(RARE, seed=1)
    comparison = Comparison(evaluated, reference)
    values = estimate(comparison) | estimate_reverse(comparison)
    assert set(values) == {"accuracy_score", "accuracy_reverse"}
    for interval in values.values():
        assert interval.value == pytest.approx(1 / 3)  # not 3 / 55, the fraction of images
        assert interval.low <= interval.value <= interval.high


def test_directions_train_on_evaluated_and_on_real_images():
    """Of class 0, half of the evaluated images are where class 1 lies; class 1 is in its place."""
    labels = np.arange(400) % 2
    wrong = np.arange(400) % 4 == 0
    evaluated = made_up(400, labels=labels, features=np.where(wrong, 1, labels)[:, None])
    reference = made_up(40, features=(np.arange(40) % 2)[:, None])
    comparison = Comparison(evaluated, reference)
    values = estimate(comparison) | estimate_reverse(comparison)
    assert values["accuracy_score"].value == 1.0  # the boundary moves, but stays between
    assert values["accuracy_reverse"].value == pytest.approx((0.5 + 1) / 2)


def test_a_class_is_evaluated_by_the_classifier_of_all_which_is_trained_once(monkeypatch):
    trained = []

    def counted(training, evaluated):
        trained.append(len(training))
        return transferred_hits(training, evaluated)

    monkeypatch.setattr(accuracy_score, "transferred_hits", counted)
    whole = Comparison(separable(IN_TURNS, order=(1, 0, 2)), separable(RARE, seed=1))
    values = [estimate(whole.of_class(label))["accuracy_score"].value for label in range(3)]
    assert values == [0.0, 0.0, 1.0]
    assert trained[0] == 60
    assert len(trained) == 1 + 10  # and with one part of ten after another left out
    estimate_reverse(whole.of_class(0))
    assert trained[11] == 55


def test_features_of_another_class_that_are_not_finite_are_named():
    evaluated = separable(IN_TURNS)
    evaluated.features[2, 0] = np.nan
    with pytest.raises(MetricUnavailable, match="1 of 60 evaluated"):
        estimate(Comparison(evaluated, separable(RARE)).of_class(0))
