"""Metrics of classifiers (and, later, of images). `classification_metrics`: (labels, scores) -> figure.

Every figure has one signature, so that the report, the intervals and the paired difference treat all alike.
"""

from collections.abc import Callable

import numpy as np

from melgan.metrics.classification import auc, macro_auc, recall, sensitivity_at_specificity

# labels [N], probabilities [N, classes] -> figure in [0, 1]
Metric = Callable[[np.ndarray, np.ndarray], float]

SPECIFICITIES = (0.80, 0.90, 0.95)


def classification_metrics(classes: tuple[str, ...]) -> dict[str, Metric]:
    """Returns the metrics that suit a set of classes; the first is the one by which epochs are chosen."""
    metrics: dict[str, Metric] = {}
    if len(classes) == 2:
        metrics["auc"] = lambda labels, scores: auc(labels == 1, scores[:, 1])
        for specificity in SPECIFICITIES:
            metrics[f"sensitivity_at_{specificity:.2f}_specificity"] = lambda labels, scores, at=specificity: (
                sensitivity_at_specificity(labels == 1, scores[:, 1], at)
            )
    else:
        metrics["auc"] = macro_auc
        for index, name in enumerate(classes):
            metrics[f"auc_{name}"] = lambda labels, scores, own=index: auc(labels == own, scores[:, own])
    for index, name in enumerate(classes):
        metrics[f"recall_{name}"] = lambda labels, scores, own=index: recall(labels, scores, own)
    return metrics
