"""Classification accuracy score: a classifier is trained on one set of images and tested on the other. Ravuri 2019."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.intervals import (
    Interval,
    bootstrap_interval,
    fraction_interval,
    jackknife_interval,
    wider_fraction_interval,
)
from melgan.metrics.samples import Samples


def transferred_hits(training: Samples, evaluated: Samples) -> np.ndarray:
    """Returns which evaluated images `[N]` a classifier names rightly that was trained on the others.

    Ravuri and Vinyals 2019, section 3, who train ResNet-50 on the images; here it is a logistic regression on their
    standardised features, whose classes weigh the same, because classes of tens of images allow no more.

    Raises:
      MetricUnavailable: if a class of the evaluated images is missing among those to train on, or there is only one.
    """
    missing = set(np.unique(evaluated.labels)) - set(np.unique(training.labels))
    if missing or len(np.unique(training.labels)) < 2:
        raise MetricUnavailable("a classifier needs images of every class, and of two at least, on both sides")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    classifier.fit(training.features, training.labels)
    return classifier.predict(evaluated.features) == evaluated.labels


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the accuracy on real images after training on evaluated ones.

    Over all classes it is the mean of theirs. Intervals know that the images to train on are drawn as well: the
    classifier is trained again with one part after another left out.
    """
    return {"accuracy_score": _accuracy(comparison, trained_on_evaluated=True)}


def estimate_reverse(comparison: Comparison) -> dict[str, Interval]:
    """Returns the accuracy on evaluated images after training on real ones."""
    return {"accuracy_reverse": _accuracy(comparison, trained_on_evaluated=False)}


def _accuracy(comparison: Comparison, trained_on_evaluated: bool) -> Interval:
    whole = comparison.whole
    whole.require_finite()
    tested = whole.reference if trained_on_evaluated else whole.evaluated
    (rows, hits), *left_out = whole.once(
        f"hits, trained on evaluated: {trained_on_evaluated}", lambda: _all_hits(whole, trained_on_evaluated)
    )
    labels = np.unique(tested.labels) if comparison.label is None else np.array([comparison.label])
    by_parts = jackknife_interval(
        _mean_recall(hits, tested.labels[rows], labels),
        [_mean_recall(own_hits, tested.labels[own_rows], labels) for own_rows, own_hits in left_out],
    )
    if comparison.label is not None:
        own = tested.labels == comparison.label
        return wider_fraction_interval(fraction_interval(hits[own], tested.groups[own]), by_parts)
    drawn = bootstrap_interval(
        lambda rows: _mean_recall(hits[rows], tested.labels[rows], labels), tested.groups, comparison.seed
    )
    return wider_fraction_interval(drawn, by_parts)


def _all_hits(whole: Comparison, trained_on_evaluated: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns rows that are tested and their hits: of all, then with one part after another left out on both sides.

    Nothing but all, if a class would be missing without a part.
    """
    training, tested = (
        (whole.evaluated, whole.reference) if trained_on_evaluated else (whole.reference, whole.evaluated)
    )
    found = [(np.arange(len(tested)), transferred_hits(training, tested))]
    staying = [
        (evaluated, reference) if trained_on_evaluated else (reference, evaluated)
        for evaluated, reference in whole.leaving_parts_out()
    ]
    needed = set(np.unique(tested.labels))
    if all(needed <= set(training.labels[own]) & set(tested.labels[other]) for own, other in staying):
        found += [(other, transferred_hits(training.take(own), tested.take(other))) for own, other in staying]
    return found


def _mean_recall(hits: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> float:
    """Returns the mean recall of the classes; NaN where one is missing."""
    counts = np.array([np.sum(labels == label) for label in classes])
    found = np.array([np.sum(hits[labels == label]) for label in classes])
    return float(np.mean(found / counts)) if counts.all() else float("nan")
