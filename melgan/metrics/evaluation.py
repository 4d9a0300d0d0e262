"""All metrics of a set of images, over all classes and class by class, as a table."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from melgan.metrics import METRICS
from melgan.metrics.comparison import Comparison
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.intervals import Interval
from melgan.metrics.samples import Samples
from tfrecords_tools.foundation.class_names import ALL_CLASSES
from tfrecords_tools.foundation.documents import stored


@dataclass(frozen=True, kw_only=True)
class Row:
    """A metric of some images with its 95 % interval, or the reason why there is none.

    Attributes:
      metric: its entry in METRICS, which may give several.
      name: its own.
      scope: a class, or `ALL_CLASSES`.
      better: see `ImageMetric`.
      evaluated, reference: how many images are evaluated, and by how many real ones.
      note: the reason.
      value, low, high: None where it is not known.
    """

    metric: str
    name: str = stored("figure")
    scope: str
    better: str
    evaluated: int = stored("judged")
    reference: int
    note: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None


def evaluate(
    comparison: Comparison,
    classes: Sequence[str],
    *,
    metrics: Sequence[str] = tuple(METRICS),
    progress: Callable[[int], None] = lambda done: None,
) -> list[Row]:
    """Returns the rows of all metrics that the images allow, and of the others the reason.

    Over all classes the evaluated images are brought to the mix of classes of the real ones, where a metric would take
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


def _rows(metric: str, scope: str, comparison: Comparison) -> list[Row]:
    counts = {"evaluated": len(comparison.evaluated), "reference": len(comparison.reference)}
    common = {"metric": metric, "scope": scope, "better": METRICS[metric].better, **counts}
    try:
        values = _estimate(metric, scope, comparison)
    except MetricUnavailable as reason:
        return [Row(**common, name=metric, note=str(reason))]
    return [Row(**common, name=name, **_known(interval)) for name, interval in values.items()]


def _estimate(name: str, scope: str, comparison: Comparison) -> dict[str, Interval]:
    metric = METRICS[name]
    evaluated, reference = len(comparison.evaluated), len(comparison.reference)
    if scope == ALL_CLASSES and not evaluated:
        raise MetricUnavailable("not every class of the real images is among those to evaluate")
    if min(evaluated, reference if metric.reads_real else evaluated) < 2:
        real = f", real ones: {reference}; two of each" if metric.reads_real else "; two"
        raise MetricUnavailable(f"images to evaluate: {evaluated}{real} are the least")
    if metric.reads_features:
        comparison.require_finite()
    return metric.estimate(comparison)


def _known(interval: Interval) -> dict[str, float | None]:
    values = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {name: None if math.isnan(value) else float(value) for name, value in values.items()}


def _with_equal_mix(comparison: Comparison, num_classes: int) -> Comparison:
    evaluated = _with_mix_of(comparison.evaluated, comparison.reference, num_classes)
    return Comparison(evaluated, comparison.reference, training=comparison.training, seed=comparison.seed)


def _with_mix_of(evaluated: Samples, reference: Samples, num_classes: int) -> Samples:
    """Returns as many evaluated images as can be had in the mix of classes of the reference, of each one at least.

    None, if one of its classes is missing.
    """
    own = np.bincount(evaluated.labels, minlength=num_classes)
    wanted = np.bincount(reference.labels, minlength=num_classes)
    present = np.flatnonzero(wanted)
    if not len(present) or not own[present].all():
        return evaluated.take(np.zeros(0, int))
    scarcest = present[np.argmin(own[present] / wanted[present])]
    counts = np.minimum(wanted * own[scarcest] // wanted[scarcest], wanted)  # whole numbers: 1 / 49 * 49 is less than 1
    return evaluated.first(np.maximum(counts, wanted > 0))
