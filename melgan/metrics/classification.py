"""Metrics of classifiers from labels and predicted probabilities.

Every one has the same signature, so that the report, the intervals and the paired difference treat all alike.
"""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

# labels [N], probabilities [N, classes] -> value in [0, 1]
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


def auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Returns the area under the ROC curve; NaN where one of the two classes is absent.

    Arguments:
      positive: which examples are of the class `[N]`, bool.
      scores: larger for the class `[N]`.
    """
    if positive.all() or not positive.any():
        return float("nan")
    return float(roc_auc_score(positive, scores))


def macro_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns the mean of the one-against-the-rest areas over the classes that occur.

    Arguments:
      labels: `[N]`.
      scores: probabilities `[N, classes]`.
    """
    areas = [auc(labels == label, scores[:, label]) for label in np.unique(labels)]
    return float(np.mean(areas))


def sensitivity_at_specificity(positive: np.ndarray, scores: np.ndarray, specificity: float) -> float:
    """Returns the largest sensitivity of any threshold whose specificity is at least the one given.

    Arguments:
      positive: `[N]`, bool.
      scores: `[N]`.
      specificity: in [0, 1].
    """
    if positive.all() or not positive.any():
        return float("nan")
    false_positive_rates, sensitivities, _ = roc_curve(positive, scores, drop_intermediate=False)
    return float(sensitivities[1.0 - false_positive_rates >= specificity - 1e-12].max())


def recall(labels: np.ndarray, scores: np.ndarray, label: int) -> float:
    """Returns the fraction of a class's examples whose largest probability is that class; NaN where it is absent."""
    of_class = labels == label
    return float(np.mean(scores[of_class].argmax(axis=1) == label)) if of_class.any() else float("nan")
