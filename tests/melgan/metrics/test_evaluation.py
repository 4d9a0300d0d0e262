import re
from dataclasses import replace

import numpy as np
import pytest

from melgan.metrics import METRICS
from melgan.metrics.attributes import brightness
from melgan.metrics.comparison import Comparison
from melgan.metrics.evaluation import ALL_CLASSES, Row, evaluate
from melgan.metrics.kid import kernel_distance
from melgan.metrics.prdc import prdc
from tests.melgan.metrics.made_up_samples import made_up
from tfrecords_tools.foundation.documents import as_plain, from_plain

CLASSES = ("ring", "schizont", "other")
BALANCED = np.arange(60) % 3

# Fast ones of every kind: of features, of images, of classes, of copies.
METRICS_HERE = ("kid", "attributes", "prdc", "accuracy_score", "memorisation")


def rows_of(evaluated, reference, metrics=METRICS_HERE, *, classes=CLASSES, training=None, seed=0, **settings):
    comparison = Comparison(evaluated, reference, training=training, seed=seed)
    return evaluate(comparison, classes, metrics=metrics, **settings)


def by_scope(rows, metric):
    """The rows, by scope, of a metric that gives one value."""
    found = {row.scope: row for row in rows if row.metric == metric}
    assert len(found) == sum(row.metric == metric for row in rows)
    return found


def delivered(rows, scope):
    return {row.metric for row in rows if row.scope == scope and not row.note}


def notes(rows, scope):
    return {row.metric: row.note for row in rows if row.scope == scope and row.note}


def numbers(note):
    """What a reason tells in digits; its words may change."""
    return [int(number) for number in re.findall(r"\d+", note)]


def test_every_metric_comes_for_all_classes_and_for_each_with_counts():
    evaluated, reference, training = (made_up(48, num_classes=3, seed=seed) for seed in range(3))
    rows = rows_of(evaluated, reference, METRICS, training=training)
    for scope, count in {ALL_CLASSES: 48, "ring": 16, "schizont": 16, "other": 16}.items():
        assert delivered(rows, scope) == set(METRICS)
        assert {(row.evaluated, row.reference) for row in rows if row.scope == scope} == {(count, count)}
    assert len(rows) == 4 * len({(row.metric, row.name) for row in rows})
    assert all(row.better == METRICS[row.metric].better for row in rows)
    assert {row.note for row in rows} == {""}


def test_rows_of_a_class_are_of_its_images():
    evaluated, reference = made_up(60, num_classes=3), made_up(45, num_classes=3, seed=1)
    rows = rows_of(evaluated, reference, ["kid", "prdc", "attributes"])
    sides = evaluated.of_class(1), reference.of_class(1)
    values = {row.name: row.value for row in rows if row.scope == "schizont"}
    assert values["kid"] == pytest.approx(kernel_distance(sides[0].features, sides[1].features))
    for name, value in prdc(sides[0].features, sides[1].features).items():
        assert values[name] == pytest.approx(value)
    levels = [brightness(side.images) for side in sides]
    assert values["brightness_drift"] == pytest.approx((levels[0].mean() - levels[1].mean()) / levels[1].std())


@pytest.mark.parametrize(
    ("evaluated", "reference", "taken"),
    [
        ([50, 50, 50], [20, 10, 5], [20, 10, 5]),  # never more than there are real ones
        ([50, 50, 50], [100, 60, 40], [50, 30, 20]),
        ([10, 50, 50], [100, 60, 40], [10, 6, 4]),
        ([1, 50, 50], [49, 98, 49], [1, 2, 1]),  # 1 / 49 * 49 is less than 1 in floating point
        ([29, 100, 100], [100, 100, 100], [29, 29, 29]),  # and 29 / 100 * 100 less than 29
        ([50, 50, 50], [500, 4, 40], [50, 1, 4]),  # 0.4 images of a class are one
    ],
)
def test_over_all_classes_the_mix_is_that_of_real_images(evaluated, reference, taken):
    sides = [made_up(sum(counts), labels=np.repeat(range(3), counts), side=1) for counts in (evaluated, reference)]
    row = by_scope(rows_of(*sides, ["kid"]), "kid")[ALL_CLASSES]
    first = np.concatenate([np.flatnonzero(sides[0].labels == label)[:count] for label, count in enumerate(taken)])
    assert (row.evaluated, row.reference) == (sum(taken), sum(reference))
    assert row.value == pytest.approx(kernel_distance(sides[0].features[first], sides[1].features))


def test_classes_keep_all_their_images_whatever_the_mix():
    evaluated = made_up(90, labels=np.repeat(range(3), [50, 30, 10]))
    rows = rows_of(evaluated, made_up(60, labels=BALANCED), ["kid"])
    assert {scope: row.evaluated for scope, row in by_scope(rows, "kid").items()} == {
        ALL_CLASSES: 30,
        "ring": 50,
        "schizont": 30,
        "other": 10,
    }


def test_another_mix_of_the_same_classes_is_no_distance():
    """Classes far apart, drawn evenly, against real ones of which one in twenty is rare."""
    rng = np.random.default_rng(0)
    labels, real_labels = np.arange(600) % 2, (np.arange(600) % 20 == 0).astype(int)
    evaluated, reference = (
        made_up(600, labels=own, side=1, features=rng.normal(size=(600, 4)) + 5 * own[:, None])
        for own in (labels, real_labels)
    )
    row = by_scope(rows_of(evaluated, reference, ["kid"], classes=("a", "b")), "kid")[ALL_CLASSES]
    assert row.low < 0 < row.high
    assert kernel_distance(evaluated.features, reference.features) > 100 * row.high


@pytest.mark.parametrize("few", [0, 1])
def test_a_class_of_fewer_than_two_images_says_so_and_the_others_are_evaluated(few):
    evaluated = made_up(40 + few, labels=[0, 1] * 20 + [2] * few)
    rows = rows_of(evaluated, made_up(60, labels=BALANCED, seed=1), training=made_up(30))
    assert set(notes(rows, "other")) == set(METRICS_HERE)
    assert [numbers(note) for note in notes(rows, "other").values()] == [[few, 20]] * len(METRICS_HERE)
    for scope in ("ring", "schizont"):
        assert delivered(rows, scope) >= set(METRICS_HERE) - {"accuracy_score"}


def test_one_image_of_a_class_leaves_all_classes_to_be_evaluated():
    evaluated = made_up(41, labels=[0, 1] * 20 + [2])
    rows = rows_of(evaluated, made_up(60, labels=BALANCED, seed=1), METRICS, training=made_up(30))
    mixed = {row.evaluated for row in rows if row.scope == ALL_CLASSES and METRICS[row.metric].needs_equal_mix}
    assert mixed == {3}
    found = {name: numbers(note) for name, note in notes(rows, ALL_CLASSES).items()}
    assert found == {"fid_infinity": [8], "prdc": [5, 5]}  # images that are needed; the k of the k-th neighbour


def test_a_class_missing_among_evaluated_images_is_told_and_the_others_are_evaluated():
    rows = rows_of(made_up(40), made_up(60, labels=BALANCED, seed=1), training=made_up(30))
    mixed = [name for name in METRICS_HERE if METRICS[name].needs_equal_mix]
    assert len({notes(rows, ALL_CLASSES)[name] for name in mixed}) == 1
    assert delivered(rows, ALL_CLASSES) == {"memorisation"}
    assert set(notes(rows, "other")) == set(METRICS_HERE)
    assert [numbers(note) for note in notes(rows, "other").values()] == [[0, 20]] * len(METRICS_HERE)
    for scope in ("ring", "schizont"):
        assert delivered(rows, scope) == set(METRICS_HERE) - {"accuracy_score"}
        assert set(notes(rows, scope)) == {"accuracy_score"}


def test_a_class_missing_among_real_images_does_not_count_over_all():
    evaluated, reference = made_up(60, labels=BALANCED), made_up(40, seed=1)
    rows = rows_of(evaluated, reference, training=made_up(30))
    assert delivered(rows, ALL_CLASSES) == set(METRICS_HERE)
    without = rows_of(evaluated.take(BALANCED < 2), reference, training=made_up(30))
    over_all = [
        [row for row in found if row.scope == ALL_CLASSES and METRICS[row.metric].needs_equal_mix]
        for found in (rows, without)
    ]
    assert {(row.evaluated, row.reference) for row in over_all[0]} == {(40, 40)}
    assert over_all[0] == over_all[1]
    assert set(notes(rows, "other")) == set(METRICS_HERE)
    assert [numbers(note) for note in notes(rows, "other").values()] == [[20, 0]] * len(METRICS_HERE)
    for scope in ("ring", "schizont"):
        assert delivered(rows, scope) == set(METRICS_HERE)


def test_a_class_that_no_side_has_is_no_obstacle():
    rows = rows_of(made_up(40), made_up(40, seed=1), training=made_up(30))
    assert delivered(rows, ALL_CLASSES) == set(METRICS_HERE)
    assert set(notes(rows, "other")) == set(METRICS_HERE)
    assert [numbers(note) for note in notes(rows, "other").values()] == [[0, 0]] * len(METRICS_HERE)


def test_no_real_images_at_all_are_no_crash():
    nothing = made_up(0, labels=np.zeros(0, int), groups=np.zeros(0, int))
    assert delivered(rows_of(made_up(40), nothing), ALL_CLASSES) == set()


@pytest.mark.parametrize(("side", "row"), [("evaluated", 3), ("real", 4)])
def test_features_that_are_not_finite_spare_other_classes_and_what_reads_images(side, row):
    evaluated, reference = made_up(60, labels=BALANCED), made_up(60, labels=BALANCED, seed=1)
    (evaluated if side == "evaluated" else reference).features[row] = np.nan
    rows = rows_of(evaluated, reference, training=made_up(30))
    hit = CLASSES[BALANCED[row]]
    for scope, count in ((ALL_CLASSES, 60), (hit, 20)):
        assert delivered(rows, scope) == {"attributes"}
        assert all(f"1 of {count} {side}" in notes(rows, scope)[metric] for metric in ("kid", "prdc", "memorisation"))
    for scope in set(CLASSES) - {hit}:
        # the classifier was to be trained on all classes
        assert delivered(rows, scope) == set(METRICS_HERE) - {"accuracy_score"}
        assert set(notes(rows, scope)) == {"accuracy_score"}
        assert f"1 of 60 {side}" in notes(rows, scope)["accuracy_score"]


def test_what_the_samples_lack_is_said_where_it_is_missed():
    bare = [replace(made_up(40, seed=seed), probabilities=None, views=None) for seed in range(2)]
    rows = rows_of(*bare, METRICS, classes=("a", "b"))
    for scope in (ALL_CLASSES, "a", "b"):
        assert delivered(rows, scope) == set(METRICS) - {"inception_score", "memorisation", "memorisation_pixels"}
        assert "inception or classifier:RUN" in notes(rows, scope)["inception_score"]
        assert notes(rows, scope)["memorisation"]


def test_images_too_small_for_one_metric_do_for_the_others():
    rows = rows_of(made_up(20, side=8), made_up(20, side=8), ["ms_ssim", "attributes"])
    assert delivered(rows, ALL_CLASSES) == {"attributes"}


def test_images_of_other_sizes_can_be_compared():
    evaluated, reference, training = made_up(40, side=32), made_up(40, side=48, seed=1), made_up(40, side=64, seed=2)
    rows = rows_of(evaluated, reference, METRICS, classes=("a", "b"), training=training)
    assert delivered(rows, ALL_CLASSES) == set(METRICS)


def test_progress_is_told_to_the_end():
    told = []
    rows_of(made_up(12), made_up(12), ["kid", "prdc"], progress=told.append)
    assert told == list(range(1, 1 + 2 * (1 + len(CLASSES))))


def test_same_seed_same_rows():
    sides = made_up(60, labels=BALANCED), made_up(50, num_classes=3, seed=1)
    first, again, other = (rows_of(*sides, ["kid", "prdc"], seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert [row.value for row in first] == pytest.approx([row.value for row in other])


def test_a_class_of_one_real_image_keeps_the_metrics_that_read_none():
    labels = np.array([0, 1] * 20 + [2])
    rows = rows_of(made_up(60, labels=BALANCED), made_up(41, labels=labels, seed=1), METRICS)
    assert delivered(rows, "other") == {"inception_score", "ms_ssim"}
    assert numbers(notes(rows, "other")["kid"]) == [20, 1]


def test_over_all_classes_one_classifier_is_trained_on_the_images_that_those_of_the_classes_are():
    evaluated = made_up(90, labels=np.repeat(range(3), [50, 30, 10]))
    rows = by_scope(rows_of(evaluated, made_up(60, labels=BALANCED, seed=1), ["accuracy_score"]), "accuracy_score")
    assert rows[ALL_CLASSES].evaluated == 90
    assert rows[ALL_CLASSES].value == pytest.approx(np.mean([rows[name].value for name in CLASSES]), rel=1e-12)


def test_what_is_not_known_is_none():
    rows = rows_of(made_up(20), made_up(20, seed=1), ["memorisation_pixels"], training=made_up(30))
    by_name = {row.name: row for row in rows if row.scope == ALL_CLASSES}
    assert None not in (by_name["copies_pixels"].value, by_name["copies_pixels"].low, by_name["copies_pixels"].high)
    probability = by_name["copies_pixels_p"]
    assert 0 < probability.value <= 1
    assert (probability.low, probability.high) == (None, None)
    (missing,) = rows_of(made_up(4), made_up(4), ["prdc"], classes=())
    assert missing.note
    assert (missing.name, missing.value, missing.low, missing.high) == ("prdc", None, None, None)


def test_a_row_keeps_its_names_in_files():
    row = Row(metric="prdc", name="recall", scope="ring", better="higher", evaluated=5, reference=7, value=0.5)
    keys = ["metric", "figure", "scope", "better", "judged", "reference", "note", "value", "low", "high"]
    assert list(as_plain(row)) == keys
    assert list(as_plain(row).values()) == ["prdc", "recall", "ring", "higher", 5, 7, "", 0.5, None, None]
    assert from_plain(Row, as_plain(row)) == row
