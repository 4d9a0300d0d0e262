"""Classification accuracy score: what a classifier that was trained on one set knows of the other. Ravuri 2019."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from melgan.errors import CannotJudge
from melgan.metrics.comparison import Comparison
from melgan.metrics.intervals import Interval, bootstrap_interval, share_interval
from melgan.metrics.samples import Samples


def transferred_hits(training: Samples, judged: Samples) -> np.ndarray:
    """Returns which judged images `[N]` a classifier names rightly that was trained on the others.

    Ravuri and Vinyals 2019, section 3, who train ResNet-50 on the images; here it is a logistic regression on their
    standardised features, whose classes weigh the same, because classes of tens of images allow no more.

    Raises:
      CannotJudge: if a class of the judged images is missing among those to train on, or there is only one.
    """
    missing = set(np.unique(judged.labels)) - set(np.unique(training.labels))
    if missing or len(np.unique(training.labels)) < 2:
        raise CannotJudge("a classifier needs images of every class, and of two at least, on both sides")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    classifier.fit(training.features, training.labels)
    return classifier.predict(judged.features) == judged.labels


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the share of real images that are named rightly after training on judged ones.

    Over all classes it is the mean of theirs.
    """
    whole = comparison.whole
    return {"accuracy_score": _share(comparison, training=whole.judged, judged=whole.reference)}


def estimate_reverse(comparison: Comparison) -> dict[str, Interval]:
    """Returns the share of judged images that are named rightly after training on real ones."""
    whole = comparison.whole
    return {"accuracy_reverse": _share(comparison, training=whole.reference, judged=whole.judged)}


def _share(comparison: Comparison, *, training: Samples, judged: Samples) -> Interval:
    comparison.whole.require_finite()
    direction = "from judged" if training is comparison.whole.judged else "from reference"
    hits = comparison.whole.once(direction, lambda: transferred_hits(training, judged))
    if comparison.label is not None:
        own = judged.labels == comparison.label
        return share_interval(hits[own], judged.groups[own])
    labels = np.unique(judged.labels)
    return bootstrap_interval(
        lambda rows: _mean_recall(hits[rows], judged.labels[rows], labels), judged.groups, comparison.seed
    )


def _mean_recall(hits: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> float:
    """Returns the mean over the classes of the share of hits; NaN where one is missing."""
    counts = np.array([np.sum(labels == label) for label in classes])
    found = np.array([np.sum(hits[labels == label]) for label in classes])
    return float(np.mean(found / counts)) if counts.all() else float("nan")
