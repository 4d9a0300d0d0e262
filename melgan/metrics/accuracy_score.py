"""Classification accuracy score: what a classifier that was trained on one set knows of the other. Ravuri 2019."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.intervals import (
    Interval,
    bootstrap_interval,
    jackknife_interval,
    share_interval,
    wider_share_interval,
)
from melgan.metrics.samples import Samples


def transferred_hits(training: Samples, judged: Samples) -> np.ndarray:
    """Returns which judged images `[N]` a classifier names rightly that was trained on the others.

    Ravuri and Vinyals 2019, section 3, who train ResNet-50 on the images; here it is a logistic regression on their
    standardised features, whose classes weigh the same, because classes of tens of images allow no more.

    Raises:
      MetricUnavailable: if a class of the judged images is missing among those to train on, or there is only one.
    """
    missing = set(np.unique(judged.labels)) - set(np.unique(training.labels))
    if missing or len(np.unique(training.labels)) < 2:
        raise MetricUnavailable("a classifier needs images of every class, and of two at least, on both sides")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    classifier.fit(training.features, training.labels)
    return classifier.predict(judged.features) == judged.labels


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the share of real images that are named rightly after training on judged ones.

    Over all classes it is the mean of theirs. Intervals know that the images to train on are drawn as well: the
    classifier is trained again with one part after another left out.
    """
    return {"accuracy_score": _share(comparison, trained_on_judged=True)}


def estimate_reverse(comparison: Comparison) -> dict[str, Interval]:
    """Returns the share of judged images that are named rightly after training on real ones."""
    return {"accuracy_reverse": _share(comparison, trained_on_judged=False)}


def _share(comparison: Comparison, trained_on_judged: bool) -> Interval:
    whole = comparison.whole
    whole.require_finite()
    tested = whole.reference if trained_on_judged else whole.judged
    (rows, hits), *left_out = whole.once(
        f"hits, trained on judged: {trained_on_judged}", lambda: _all_hits(whole, trained_on_judged)
    )
    labels = np.unique(tested.labels) if comparison.label is None else np.array([comparison.label])
    by_parts = jackknife_interval(
        _mean_recall(hits, tested.labels[rows], labels),
        [_mean_recall(own_hits, tested.labels[own_rows], labels) for own_rows, own_hits in left_out],
    )
    if comparison.label is not None:
        own = tested.labels == comparison.label
        return wider_share_interval(share_interval(hits[own], tested.groups[own]), by_parts)
    drawn = bootstrap_interval(
        lambda rows: _mean_recall(hits[rows], tested.labels[rows], labels), tested.groups, comparison.seed
    )
    return wider_share_interval(drawn, by_parts)


def _all_hits(whole: Comparison, trained_on_judged: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns rows that are tested and their hits: of all, then with one part after another left out on both sides.

    Nothing but all, if a class would be missing without a part.
    """
    training, tested = (whole.judged, whole.reference) if trained_on_judged else (whole.reference, whole.judged)
    found = [(np.arange(len(tested)), transferred_hits(training, tested))]
    staying = [
        (judged, reference) if trained_on_judged else (reference, judged)
        for judged, reference in whole.leaving_parts_out()
    ]
    needed = set(np.unique(tested.labels))
    if all(needed <= set(training.labels[own]) & set(tested.labels[other]) for own, other in staying):
        found += [(other, transferred_hits(training.take(own), tested.take(other))) for own, other in staying]
    return found


def _mean_recall(hits: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> float:
    """Returns the mean over the classes of the share of hits; NaN where one is missing."""
    counts = np.array([np.sum(labels == label) for label in classes])
    found = np.array([np.sum(hits[labels == label]) for label in classes])
    return float(np.mean(found / counts)) if counts.all() else float("nan")
