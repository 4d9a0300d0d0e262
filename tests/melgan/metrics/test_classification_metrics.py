import numpy as np
import pytest

from melgan.metrics.classification import METRICS, auc, classification_metrics, macro_auc
from melgan.metrics.roc import roc_curve, sensitivity_at

RNG_SCORES = np.random.default_rng(0).integers(0, 12, 80) / 12  # with ties
RNG_POSITIVE = np.random.default_rng(1).random(80) < 0.3
TWO, OF_THREE = ("benign", "malignant"), ("a", "b", "c")
THREE = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.4, 0.1, 0.5]])


def sensitivity(positive, scores, specificity):
    return sensitivity_at(roc_curve(positive, scores), specificity)


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
    metrics = classification_metrics(positive.astype(int), np.stack([1 - scores, scores], axis=1), ("a", "b"))
    assert {name for name, value in metrics.items() if not np.isnan(value)} == {
        "brier_score",
        "calibration_error",
        "recall_b" if value else "recall_a",
    }


@pytest.mark.parametrize(
    ("specificity", "expected"),
    [(1.0, 0.25), (0.8, 0.75), (0.75, 0.75), (0.6, 0.75), (0.5, 0.75), (0.4, 1.0), (0.0, 1.0)],
)
def test_sensitivity_at_specificity_by_hand(specificity, expected):
    """Benign 0.1 ... 0.9; of four melanomas one lies above all, two more above 0.7 and one above 0.3."""
    benign, melanomas = [0.1, 0.3, 0.5, 0.7, 0.9], [0.95, 0.8, 0.75, 0.4]
    positive = np.array([False] * 5 + [True] * 4)
    assert sensitivity(positive, np.array(benign + melanomas), specificity) == expected


def test_thresholds_on_a_straight_stretch_of_the_curve_count():
    positive, scores = np.array([True, False] * 3), np.array([0.9, 0.9, 0.5, 0.5, 0.1, 0.1])
    assert sensitivity(positive, scores, 1 / 3) == pytest.approx(2 / 3)


@pytest.mark.parametrize("specificity", [0.0, 0.5, 0.8, 0.9, 0.95, 1.0])
def test_sensitivity_at_specificity_is_the_best_of_all_thresholds(specificity):
    thresholds = [*np.unique(RNG_SCORES), np.inf]
    allowed = [at for at in thresholds if np.mean(RNG_SCORES[~RNG_POSITIVE] < at) >= specificity]
    best = max(np.mean(RNG_SCORES[RNG_POSITIVE] >= at) for at in allowed)
    assert sensitivity(RNG_POSITIVE, RNG_SCORES, specificity) == pytest.approx(best)


def test_recall_by_hand():
    labels = np.array([0, 0, 1, 2, 0])
    metrics = classification_metrics(labels, THREE, OF_THREE)
    assert [metrics[f"recall_{name}"] for name in OF_THREE] == [pytest.approx(1 / 3), 1.0, 1.0]
    assert np.isnan(classification_metrics(labels[:3], THREE[:3], OF_THREE)["recall_c"])


def test_macro_auc_is_the_mean_over_the_classes_that_occur():
    labels = np.array([0, 0, 1, 2, 0])
    # class 0: (0.7, 0.3, 0.4) over (0.1, 0.2): 1; class 1: 0.8 over all: 1; class 2: 0.6 over all: 1
    assert macro_auc(labels, THREE) == 1.0
    # class 0: (0.7, 0.1) against (0.3, 0.2, 0.4): 3 of 6; class 1: (0.4, 0.2, 0.1) against (0.2, 0.8): 1.5 of 6
    assert macro_auc(np.array([0, 1, 0, 1, 1]), THREE) == pytest.approx((3 / 6 + 1.5 / 6) / 2)


@pytest.mark.parametrize("classes", [TWO, OF_THREE])
def test_every_metric_is_best_for_perfect_and_worst_for_reversed_scores(classes):
    labels = np.arange(12) % len(classes)
    perfect = np.eye(len(classes))[labels]
    best = dict.fromkeys(METRICS, 1.0) | {
        "partial_auc_above_0.80_sensitivity": 0.2,
        "brier_score": 0.0,
        "calibration_error": 0.0,
        "net_benefit_at_prior": 0.5,
    }
    worst = dict.fromkeys(METRICS, 0.0) | {
        "average_precision": 1 / len(classes),  # all images of the class share the lowest threshold
        "brier_score": 1.0,
        "calibration_error": 1.0,
        "net_benefit_at_prior": -0.5,
    }
    for name, value in classification_metrics(labels, perfect, classes).items():
        assert value == pytest.approx(best.get(name, 1.0), abs=1e-12), name
    for name, value in classification_metrics(labels, 1 - perfect, classes).items():
        assert value == pytest.approx(worst.get(name, 0.0), abs=1e-12), name


def test_metrics_of_two_classes_look_at_the_second():
    labels, scores = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.1, 0.9]])
    values = classification_metrics(labels, scores, TWO)
    assert list(values) == [*METRICS, "recall_benign", "recall_malignant"]
    assert values["auc"] == 0.75
    # Of sensitivity 1/2 the curve goes on at false positives 1/2; the area above 0.8 is 0.2 x 0.5.
    assert values["partial_auc_above_0.80_sensitivity"] == pytest.approx(0.1)
    assert values["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert values["sensitivity_at_0.90_specificity"] == values["specificity_at_0.90_sensitivity"] == 0.5
    assert values["brier_score"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert values["calibration_error"] == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)
    assert values["net_benefit_at_prior"] == 0.0  # one of each treated, at odds of one
    assert values["recall_benign"] == values["recall_malignant"] == 0.5


def test_metrics_of_three_classes_are_means_of_each_against_the_rest():
    labels = np.array([0, 2, 1, 2, 1])
    metrics = classification_metrics(labels, THREE, OF_THREE)
    assert list(metrics) == [
        "auc",
        "average_precision",
        "brier_score",
        "calibration_error",
        *(f"auc_{name}" for name in OF_THREE),
        *(f"recall_{name}" for name in OF_THREE),
    ]
    assert metrics["auc_a"] == 1.0
    assert metrics["auc_b"] == pytest.approx(3 / 6)  # (0.8, 0.1) against (0.2, 0.4, 0.2)
    assert metrics["recall_b"] == 0.5
    assert metrics["auc"] == macro_auc(labels, THREE)
    assert metrics["brier_score"] == pytest.approx(np.mean((THREE - np.eye(3)[labels]) ** 2))


def test_the_brier_score_of_two_classes_is_that_of_either():
    labels, probabilities = RNG_POSITIVE.astype(int), np.stack([1 - RNG_SCORES, RNG_SCORES], axis=1)
    swapped = classification_metrics(1 - labels, probabilities[:, ::-1], TWO)
    found = classification_metrics(labels, probabilities, TWO)
    assert found["brier_score"] == pytest.approx(swapped["brier_score"])
