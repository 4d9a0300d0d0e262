"""The section of a page on a classifier."""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from melgan.classifiers.metadata import METADATA
from melgan.metrics.calibration import equal_mass_bins
from melgan.metrics.classification import CALIBRATION_ERROR, PARTIAL_AUC_ABOVE, scored_classes
from melgan.metrics.cross_validation import MEAN_AUC, POOLED_RANK_AUC, flagged_within_folds, ranks_within_folds
from melgan.metrics.delong import mean_area
from melgan.metrics.intervals import Interval, fraction_interval, patient_groups
from pipelines.artefacts.classifier_run import ClassifierRun
from pipelines.artefacts.comparisons import out_of_fold
from pipelines.artefacts.epochs import read_epochs
from pipelines.artefacts.predictions import probability_columns, scores
from pipelines.artefacts.seen import SEEN_IS
from pipelines.artefacts.subgroups import AT_SPECIFICITY
from pipelines.pages import charts, palette
from pipelines.pages.certain_images import certain_images
from pipelines.pages.page import Details, Picture, Section, Table, interval_text, number_text, sentences

_BINS_DRAWN = 10
_HEADLINE = (MEAN_AUC, "average_precision", f"sensitivity_at_{AT_SPECIFICITY:.2f}_specificity", CALIBRATION_ERROR)
_TITLES = {
    MEAN_AUC: "AUC, mean of the folds",
    POOLED_RANK_AUC: "AUC over ranks within the folds",
    f"partial_auc_above_{PARTIAL_AUC_ABOVE:.2f}_sensitivity": f"partial AUC above {PARTIAL_AUC_ABOVE:.0%} sensitivity",
    "brier_score": "Brier score",
    CALIBRATION_ERROR: "expected calibration error",
    "net_benefit_at_prior": "net benefit, with the fraction of the class as threshold",
}
_METRICS_READ = (
    "Metrics are means of the folds, whose models are calibrated differently. For recall, the most probable class "
    "counts as the prediction."
)
_SUBGROUPS_READ = (
    f"Sensitivity and specificity at the threshold of each fold that has a specificity of {AT_SPECIFICITY:.0%} over "
    "all its images. Of few images intervals are wide, and of many subgroups one differs by chance: look for "
    "differences that come again in other data."
)
_PROPERTIES = {"source": "data set", "age_approx": "age", "anatom_site_general_challenge": "site"}


def classifier_section(run: ClassifierRun) -> Section:
    """Returns metrics with intervals, curves over the epochs, ROC and precision-recall, the most certain images."""
    predictions, metrics = out_of_fold(run), run.report.metrics
    why_no_pictures, certain = certain_images(run, predictions)
    further = Details(
        "All metrics, and every fold",
        (_metric_table(run, tuple(metrics)), _fold_table(run, predictions)),
        _METRICS_READ,
    )
    items = (
        _metric_table(run, [name for name in _HEADLINE if name in metrics]),
        _roc(predictions, run.report.classes),
        _calibration_and_confusion(run, predictions),
        *certain,
        Picture(_epoch_curves(run), "Training loss and validation AUC of every fold"),
        *_subgroups(run),
        further,
    )
    text = sentences(_recipe(run), _on_chance(predictions, run.report.classes), why_no_pictures)
    return Section("Classifier", text, items)


def _subgroups(run: ClassifierRun) -> tuple[Details, ...]:
    """Returns the metrics by data set, sex, age and site, as far as the images differ in them."""
    if not run.report.subgroups:
        return ()
    header = ("", "images", f"of {run.target}", "AUC", "sensitivity", "specificity")
    rows = tuple(
        (
            f"{_PROPERTIES.get(each.property, each.property)}: {each.value}",
            str(each.images),
            str(each.positives),
            *(_interval_if_known(metric) for metric in (each.auc, each.sensitivity, each.specificity)),
        )
        for each in run.report.subgroups
    )
    return (Details("By data set, sex, age and site", (Table(header, rows),), _SUBGROUPS_READ),)


def _interval_if_known(interval: Interval) -> str:
    return "-" if math.isnan(interval.value) else interval_text(interval)


def _recipe(run: ClassifierRun) -> str:
    """Returns sentences on the network and on what it learned from."""
    config = run.config
    matched = {"steps": "as many steps as without", "real": "as many passes over real images as without"}[config.match]
    synthetic = f"{synthetic_fraction(run)} synthetic images in training, {matched}"
    training = synthetic if config.synthetic else "real images only"
    reduced = f"All images were first reduced to {config.match_resolution} px and compressed there."
    return sentences(
        f"{config.backbone} at {config.image_size} px, weights {config.weights}, {config.epochs} epochs, {training}.",
        reduced if config.match_resolution else "",
        _sources(run).strip(),
    )


def _metric_table(run: ClassifierRun, names: Sequence[str]) -> Table:
    rows = tuple((_metric_title(name, run.report.classes), interval_text(run.report.metrics[name])) for name in names)
    return Table(("out-of-fold metric", "value (95 % interval)"), rows)


def _roc(predictions: pd.DataFrame, classes: tuple[str, ...]) -> Picture:
    caption = "ROC and precision-recall over the ranks within the folds; dotted: a classifier that guesses"
    return Picture(charts.roc_and_precision_recall(_scored(predictions, classes), classes), caption)


def _calibration_and_confusion(run: ClassifierRun, predictions: pd.DataFrame) -> Picture:
    classes = run.report.classes
    of_two = len(classes) == 2
    counted, predicted = (
        (_at_specificity, f"class at {AT_SPECIFICITY:.0%} specificity")
        if of_two
        else (_most_probable, "most probable class")
    )
    error = run.report.metrics.get(CALIBRATION_ERROR)
    caption = sentences(
        f"Left: how often images are of the class, in {_BINS_DRAWN} bins of equally many, over all folds, with 95 % "
        "intervals; dotted: as often as the probability says.",
        "" if error is None else f"Expected calibration error, mean of the folds: {interval_text(error)}.",
        f"Right: images of each class by the {predicted}, and the fraction of the row.",
        "The threshold is that of each fold, on its own images." if of_two else "",
    )
    counts = _confusion(predictions, counted(predictions))
    return Picture(
        charts.calibration_and_confusion(_calibrated(predictions, classes), counts, classes, predicted), caption
    )


def _sources(run: ClassifierRun) -> str:
    """Returns sentences on what it learned from beside images with labels; empty for nothing."""
    config, found = run.config, []
    if METADATA[config.metadata].fuse is not None:
        found.append(f"Age, sex, site and the number of the patient's images are inputs too ({config.metadata}).")
    if config.labelled_fraction < 1:
        found.append(f"Labels of {config.labelled_fraction:.0%} of the patients were known in training.")
    if config.unlabelled:
        found.append(f"{config.semi_supervised} learned from images without labels: {', '.join(config.unlabelled)}.")
    if run.report.transductive:
        found.append("Transductive: the test images, without labels, were among them.")
    found += seen_as_declared(run)
    if any(run.report.twins.values()):
        found.append(
            f"Twins: {_mean_of(run.report.twins):,.0f} real images a fold were in the training with their own class "
            "and, in an image made from them, with another."
        )
    return "".join(f"{sentence} " for sentence in found)


def seen_as_declared(run: ClassifierRun) -> list[str]:
    """Returns sentences on what is not recorded, but declared or unknown, of the generators of its synthetic images."""
    provenances = [each.provenance for sets in run.report.synthetic.values() for each in sets]
    told = {each.method: SEEN_IS[each.seen_is] for each in provenances if SEEN_IS[each.seen_is]}
    return [f"Synthetic images of {method}: {sentence}" for method, sentence in told.items()]


def _mean_of(by_fold: Mapping[str, int]) -> float:
    return sum(by_fold.values()) / len(by_fold)


def _on_chance(predictions: pd.DataFrame, classes: Sequence[str]) -> str:
    """Returns what metrics of two classes are without any skill, and how sure the AUC is, as sentences."""
    if len(classes) != 2:
        return ""
    positive, folds = predictions["label"].to_numpy() == 1, predictions["fold"].to_numpy()
    own = predictions[probability_columns(classes)[1]].to_numpy()
    area = mean_area(positive, own[None], folds=folds, groups=patient_groups(predictions["patient_id"].to_numpy()))
    return (
        f"Of the images, {positive.mean():.3f} are {classes[1]}: a classifier that guesses has that average "
        f"precision, and a partial AUC of {(1 - PARTIAL_AUC_ABOVE) ** 2 / 2:.2f} of at most "
        f"{1 - PARTIAL_AUC_ABOVE:.2f}. "
        f"Standard error of the mean AUC by DeLong, the images of a patient as a cluster: "
        f"{number_text(area.standard_error)}."
    )


def synthetic_fraction(run: ClassifierRun) -> str:
    """Returns the fraction of synthetic images in training, as text."""
    return f"{run.config.synthetic_fraction:.0%}"


def _metric_title(name: str, classes: Sequence[str]) -> str:
    """Returns the name of a metric in words, with the name of its class, if it has one, to the letter."""
    metric, _, of_class = name.partition("_")
    if name in _TITLES:
        return _TITLES[name]
    if of_class in classes:
        return f"{metric.replace('auc', 'AUC')} of {of_class}"
    of_curve = re.fullmatch(r"(\w+)_at_(0\.\d+)_(\w+)", name)
    return f"{of_curve[1]} at {float(of_curve[2]):.0%} {of_curve[3]}" if of_curve else name.replace("_", " ")


def _fold_table(run: ClassifierRun, predictions: pd.DataFrame) -> Table:
    report, counts = run.report, predictions.groupby(["fold", "label"]).size()
    labels = range(len(report.classes))
    rows = tuple(
        (fold, f"{auc:.3f}", str(report.best_epochs[fold]), *(str(counts.get((int(fold), i), 0)) for i in labels))
        for fold, auc in report.fold_auc.items()
    )
    return Table(("fold", "validation AUC", "best epoch", *(f"{name} in it" for name in report.classes)), rows)


def _scored(predictions: pd.DataFrame, classes: tuple[str, ...]) -> charts.Scored:
    """Returns one curve for two classes, else one curve a class against the rest."""
    labels, probabilities = scores(predictions)
    ranks = ranks_within_folds(probabilities, predictions["fold"].to_numpy())
    return {classes[label]: (labels == label, ranks[:, label]) for label in scored_classes(len(classes))}


def _calibrated(predictions: pd.DataFrame, classes: tuple[str, ...]) -> charts.Calibrated:
    """Returns the bins of two classes' second, or of each of more, with the interval of the fraction in each."""
    labels, probabilities = scores(predictions)
    groups = patient_groups(predictions["patient_id"].to_numpy())
    return {
        classes[label]: _bins(labels == label, probabilities[:, label], groups)
        for label in scored_classes(len(classes))
    }


def _bins(
    positive: np.ndarray, probabilities: np.ndarray, groups: np.ndarray
) -> list[tuple[float, float, float, float]]:
    bins, found = equal_mass_bins(probabilities, _BINS_DRAWN), []
    for number in np.unique(bins):
        own = bins == number
        interval = fraction_interval(positive[own], groups[own])
        found.append((float(probabilities[own].mean()), interval.value, interval.low, interval.high))
    return found


def _most_probable(predictions: pd.DataFrame) -> np.ndarray:
    """Returns the class that each image counts as `[N]`: that of the highest probability."""
    return scores(predictions)[1].argmax(axis=1)


def _at_specificity(predictions: pd.DataFrame) -> np.ndarray:
    """Returns the class of two that each image counts as `[N]`, by the threshold of its fold."""
    labels, probabilities = scores(predictions)
    flagged = flagged_within_folds(labels == 1, probabilities[:, 1], predictions["fold"].to_numpy(), AT_SPECIFICITY)
    return flagged.astype(int)


def _confusion(predictions: pd.DataFrame, predicted: np.ndarray) -> np.ndarray:
    """Returns the images of each class by what they count as `[classes, classes]`."""
    labels, probabilities = scores(predictions)
    return confusion_matrix(labels, predicted, labels=range(probabilities.shape[1]))


def _epoch_curves(run: ClassifierRun) -> charts.Chart:
    panels: dict[str, dict] = {"training loss": {}, "validation AUC": {}}
    for fold in run.report.folds:
        epochs, name = read_epochs(run.folder, fold), f"fold {fold}"
        known = [epoch for epoch in epochs if epoch.loss is not None]
        panels["training loss"][name] = ([epoch.number for epoch in known], [epoch.loss for epoch in known])
        panels["validation AUC"][name] = ([epoch.number for epoch in epochs], [epoch.auc for epoch in epochs])
    colours = palette.shades(list(panels["validation AUC"]))
    return charts.curves(panels, "epoch", colours=colours)
