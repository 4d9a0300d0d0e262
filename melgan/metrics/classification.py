"""Metrics of classifiers from labels and predicted probabilities.

Every one has the same signature, so that the report, the intervals and the paired difference treat all alike.
"""

from collections.abc import Callable

import numpy as np
import scipy.stats

# labels [N], probabilities [N, classes] -> value in [0, 1]
Metric = Callable[[np.ndarray, np.ndarray], float]

AUC = "auc"
SPECIFICITIES = (0.80, 0.90, 0.95)


def classification_metrics(classes: tuple[str, ...]) -> dict[str, Metric]:
    """Returns the metrics that suit a set of classes; the first is the one by which epochs are chosen."""
    metrics: dict[str, Metric] = {}
    if len(classes) == 2:
        metrics[AUC] = lambda labels, scores: auc(labels == 1, scores[:, 1])
        for specificity in SPECIFICITIES:
            metrics[f"sensitivity_at_{specificity:.2f}_specificity"] = lambda labels, scores, at=specificity: (
                sensitivity_at_specificity(labels == 1, scores[:, 1], at)
            )
    else:
        metrics[AUC] = macro_auc
        for index, name in enumerate(classes):
            metrics[f"auc_{name}"] = lambda labels, scores, own=index: auc(labels == own, scores[:, own])
    for index, name in enumerate(classes):
        metrics[f"recall_{name}"] = lambda labels, scores, own=index: recall(labels, scores, own)
    return metrics


def auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Returns the area under the ROC curve, from rank sums; NaN where one of the two classes is absent.

    Mann and Whitney 1947; Hanley and McNeil 1982.

    Arguments:
      positive: which examples are of the class `[N]`, bool.
      scores: larger for the class `[N]`.
    """
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    rank_sum = scipy.stats.rankdata(scores)[positive].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


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
    negatives = np.sort(scores[~positive])
    if not len(negatives) or not positive.any():
        return float("nan")
    false_positives = int((1 - specificity) * len(negatives) + 1e-9)  # allowed
    if false_positives >= len(negatives):
        return 1.0
    return float(np.mean(scores[positive] > negatives[-1 - false_positives]))


def recall(labels: np.ndarray, scores: np.ndarray, label: int) -> float:
    """Returns the fraction of a class's examples whose largest probability is that class; NaN where it is absent."""
    of_class = labels == label
    return float(np.mean(scores[of_class].argmax(axis=1) == label)) if of_class.any() else float("nan")
