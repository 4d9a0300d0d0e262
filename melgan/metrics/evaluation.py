"""All metrics of a set of images, over all classes and class by class, as a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from melgan.metrics import METRICS
from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.intervals import Interval
from melgan.metrics.samples import Samples

ALL_CLASSES = "all classes"


@dataclass(frozen=True)
class Row:
    """A figure, or why there is none: `scope` is a class or `ALL_CLASSES`, `better` as in `ImageMetric`."""

    metric: str
    figure: str
    scope: str
    better: str
    judged: int
    reference: int
    interval: Interval | None
    note: str = ""


def evaluate(
    comparison: Comparison,
    classes: Sequence[str],
    *,
    metrics: Sequence[str] = tuple(METRICS),
    progress: Callable[[int], None] = lambda done: None,
) -> list[Row]:
    """Returns the rows of all metrics that the images allow, and of the others the reason.

    Over all classes the judged images are brought to the mix of classes of the real ones, where a metric would take
    another mix for a difference.

    Arguments:
      comparison: of the images of all classes.
      classes: their names.
      metrics: names in METRICS.
      progress: called with how many metrics are done, of one more than there are classes times `metrics`.
    """
    rows = []
    for number, label in enumerate((None, *range(len(classes)))):
        scope = ALL_CLASSES if label is None else classes[label]
        own = comparison if label is None else comparison.of_class(label)
        mixed = _with_equal_mix(comparison, len(classes)) if label is None else own
        for done, name in enumerate(metrics, start=1):
            rows += _rows(name, scope, mixed if METRICS[name].needs_equal_mix else own)
            progress(number * len(metrics) + done)
    return rows


def _rows(name: str, scope: str, comparison: Comparison) -> list[Row]:
    metric = METRICS[name]
    counts = (len(comparison.judged), len(comparison.reference))
    try:
        if scope == ALL_CLASSES and not counts[0]:
            raise MetricUnavailable("not every class of the real images is among those to judge")
        if min(counts if metric.reads_real else counts[:1]) < 2:
            real = f", real ones: {counts[1]}; two of each" if metric.reads_real else "; two"
            raise MetricUnavailable(f"images to judge: {counts[0]}{real} are the least")
        if metric.reads_features:
            comparison.require_finite()
        figures = metric.estimate(comparison)
    except MetricUnavailable as reason:
        return [Row(name, name, scope, metric.better, *counts, None, str(reason))]
    return [Row(name, figure, scope, metric.better, *counts, interval) for figure, interval in figures.items()]


def _with_equal_mix(comparison: Comparison, num_classes: int) -> Comparison:
    judged = _with_mix_of(comparison.judged, comparison.reference, num_classes)
    return Comparison(judged, comparison.reference, training=comparison.training, seed=comparison.seed)


def _with_mix_of(judged: Samples, reference: Samples, num_classes: int) -> Samples:
    """Returns as many judged images as can be had with the share of classes of the reference, of each one at least.

    None, if one of its classes is missing.
    """
    own = np.bincount(judged.labels, minlength=num_classes)
    wanted = np.bincount(reference.labels, minlength=num_classes)
    present = np.flatnonzero(wanted)
    if not len(present) or not own[present].all():
        return judged.take(np.zeros(0, int))
    scarcest = present[np.argmin(own[present] / wanted[present])]
    counts = np.minimum(wanted * own[scarcest] // wanted[scarcest], wanted)  # whole numbers: 1 / 49 * 49 is less than 1
    return judged.first(np.maximum(counts, wanted > 0))
