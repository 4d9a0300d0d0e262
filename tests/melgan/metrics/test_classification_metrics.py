import numpy as np
import pytest

from melgan.metrics.classification import auc, classification_metrics, macro_auc, recall, sensitivity_at_specificity

RNG_SCORES = np.random.default_rng(0).integers(0, 12, 80) / 12  # with ties
RNG_POSITIVE = np.random.default_rng(1).random(80) < 0.3
THREE = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.4, 0.1, 0.5]])


@pytest.mark.parametrize(
    ("positive", "scores", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], 1.0),
        ([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], 0.0),
        ([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0.5),
        ([0, 1, 0, 1], [0.1, 0.5, 0.5, 0.9], 7 / 8),  # of four pairs one is a tie
        ([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], 3 / 4),
    ],
)
def test_auc_by_hand(positive, scores, expected):
    assert auc(np.array(positive, bool), np.array(scores)) == pytest.approx(expected)


def test_auc_is_the_fraction_of_pairs_in_order():
    above = RNG_SCORES[RNG_POSITIVE][:, None] - RNG_SCORES[~RNG_POSITIVE]
    assert auc(RNG_POSITIVE, RNG_SCORES) == pytest.approx(np.mean((above > 0) + 0.5 * (above == 0)))


@pytest.mark.parametrize("value", [True, False])
def test_one_class_has_no_curve(value):
    positive, scores = np.full(3, value), np.array([0.1, 0.2, 0.3])
    assert np.isnan(auc(positive, scores))
    assert np.isnan(sensitivity_at_specificity(positive, scores, 0.9))


@pytest.mark.parametrize(
    ("specificity", "expected"),
    [(1.0, 0.25), (0.8, 0.75), (0.75, 0.75), (0.6, 0.75), (0.5, 0.75), (0.4, 1.0), (0.0, 1.0)],
)
def test_sensitivity_at_specificity_by_hand(specificity, expected):
    """Benign 0.1 ... 0.9; of four melanomas one lies above all, two more above 0.7 and one above 0.3."""
    benign, melanomas = [0.1, 0.3, 0.5, 0.7, 0.9], [0.95, 0.8, 0.75, 0.4]
    positive = np.array([False] * 5 + [True] * 4)
    assert sensitivity_at_specificity(positive, np.array(benign + melanomas), specificity) == expected


def test_thresholds_on_a_straight_stretch_of_the_curve_count():
    positive, scores = np.array([True, False] * 3), np.array([0.9, 0.9, 0.5, 0.5, 0.1, 0.1])
    assert sensitivity_at_specificity(positive, scores, 1 / 3) == pytest.approx(2 / 3)


@pytest.mark.parametrize("specificity", [0.0, 0.5, 0.8, 0.9, 0.95, 1.0])
def test_sensitivity_at_specificity_is_the_best_of_all_thresholds(specificity):
    thresholds = [*np.unique(RNG_SCORES), np.inf]
    allowed = [at for at in thresholds if np.mean(RNG_SCORES[~RNG_POSITIVE] < at) >= specificity]
    best = max(np.mean(RNG_SCORES[RNG_POSITIVE] >= at) for at in allowed)
    assert sensitivity_at_specificity(RNG_POSITIVE, RNG_SCORES, specificity) == pytest.approx(best)


def test_recall_by_hand():
    labels = np.array([0, 0, 1, 2, 0])
    assert [recall(labels, THREE, label) for label in range(3)] == [pytest.approx(1 / 3), 1.0, 1.0]
    assert np.isnan(recall(labels[:3], THREE[:3], 2))


def test_macro_auc_is_the_mean_over_the_classes_that_occur():
    labels = np.array([0, 0, 1, 2, 0])
    # class 0: (0.7, 0.3, 0.4) over (0.1, 0.2): 1; class 1: 0.8 over all: 1; class 2: 0.6 over all: 1
    assert macro_auc(labels, THREE) == 1.0
    # class 0: (0.7, 0.1) against (0.3, 0.2, 0.4): 3 of 6; class 1: (0.4, 0.2, 0.1) against (0.2, 0.8): 1.5 of 6
    assert macro_auc(np.array([0, 1, 0, 1, 1]), THREE) == pytest.approx((3 / 6 + 1.5 / 6) / 2)


@pytest.mark.parametrize("classes", [("benign", "malignant"), ("ring", "trophozoite", "schizont")])
def test_every_metric_is_perfect_for_perfect_and_poor_for_reversed_scores(classes):
    labels = np.arange(12) % len(classes)
    perfect = 0.8 * np.eye(len(classes))[labels] + 0.2 / len(classes)
    for metric in classification_metrics(classes).values():
        assert metric(labels, perfect) == 1.0
        assert metric(labels, 1 - perfect) == 0.0


def test_metrics_of_two_classes_look_at_the_second():
    metrics = classification_metrics(("benign", "malignant"))
    assert list(metrics) == [
        "auc",
        "sensitivity_at_0.80_specificity",
        "sensitivity_at_0.90_specificity",
        "sensitivity_at_0.95_specificity",
        "recall_benign",
        "recall_malignant",
    ]
    labels, scores = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.1, 0.9]])
    values = {name: metric(labels, scores) for name, metric in metrics.items()}
    assert set(values.values()) == {0.75, 0.5}
    assert values["auc"] == 0.75


def test_metrics_of_three_classes_are_each_against_the_rest():
    metrics = classification_metrics(("a", "b", "c"))
    assert list(metrics) == ["auc", "auc_a", "auc_b", "auc_c", "recall_a", "recall_b", "recall_c"]
    labels = np.array([0, 2, 1, 2, 1])
    assert metrics["auc_a"](labels, THREE) == 1.0
    assert metrics["auc_b"](labels, THREE) == pytest.approx(3 / 6)  # (0.8, 0.1) against (0.2, 0.4, 0.2)
    assert metrics["recall_b"](labels, THREE) == 0.5
    assert metrics["auc"](labels, THREE) == macro_auc(labels, THREE)
