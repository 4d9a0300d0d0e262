"""All metrics of a set of images, over all classes and class by class, as a table."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from melgan.errors import CannotJudge
from melgan.metrics import METRICS
from melgan.metrics.comparison import Comparison
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
    judged: Samples,
    reference: Samples,
    classes: Sequence[str],
    *,
    training: Samples | None = None,
    seed: int = 0,
    metrics: Sequence[str] = tuple(METRICS),
    progress: Callable[[int], None] = lambda done: None,
) -> list[Row]:
    """Returns the rows of all metrics that the images allow, and of the others the reason.

    Over all classes the judged images have the mix of classes of the real ones: else the mix is what is measured.

    Arguments:
      judged: the images that are judged.
      reference: real images that a generator has not seen.
      classes: names of the classes.
      training: real images that the generator has seen, for memorisation.
      seed: of what is drawn for intervals.
      metrics: names in METRICS.
      progress: called with how many metrics are done, of one more than there are classes times `metrics`.
    """
    everything = Comparison(judged, reference, training=training, seed=seed)
    mixed = Comparison(_with_mix_of(judged, reference, len(classes)), reference, training=training, seed=seed)
    comparisons = {ALL_CLASSES: mixed} | {name: everything.of_class(label) for label, name in enumerate(classes)}
    rows = []
    for done, (scope, name) in enumerate(itertools.product(comparisons, metrics), start=1):
        rows += _rows(name, scope, comparisons[scope])
        progress(done)
    return rows


def _rows(metric: str, scope: str, comparison: Comparison) -> list[Row]:
    better = METRICS[metric].better
    counts = (len(comparison.judged), len(comparison.reference))
    try:
        if scope == ALL_CLASSES and not counts[0]:
            raise CannotJudge("not every class of the real images is among those to judge")
        if min(counts) < 2:
            raise CannotJudge(f"{counts[0]} images to judge and {counts[1]} real ones; two of each are the least")
        if METRICS[metric].reads_features:
            comparison.require_finite()
        figures = METRICS[metric].estimate(comparison)
    except CannotJudge as reason:
        return [Row(metric, metric, scope, better, *counts, None, str(reason))]
    return [Row(metric, name, scope, better, *counts, interval) for name, interval in figures.items()]


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
