"""The sections of a page that answer its question: how good are the classifiers, and did synthetic images help."""

from collections.abc import Sequence

from pipelines.artefacts.classifier_run import ClassifierRun
from pipelines.artefacts.comparisons import Comparison, NotCompared
from pipelines.pages.classifier_section import synthetic_fraction
from pipelines.pages.page import Section, Table, interval_text, number_text, p_text, sentences


def result_section(
    classifiers: Sequence[ClassifierRun], comparisons: Sequence[Comparison], left_out: Sequence[NotCompared]
) -> list[Section]:
    """Returns the section that comes first; none without classifiers."""
    if not classifiers:
        return []
    header = ("classifier", "network", "synthetic", "images evaluated", "AUC, mean of the folds (95 % interval)")
    rows = tuple(
        (
            run.name,
            run.config.backbone,
            synthetic_fraction(run),
            str(run.report.images),
            interval_text(run.mean_auc),
        )
        for run in classifiers
    )
    text = sentences(*map(_verdict, comparisons), *map(_reason, left_out))
    return [Section("Result", text, (Table(header, rows),))]


def comparison_section(comparisons: Sequence[Comparison]) -> list[Section]:
    """Returns classifiers with and without synthetic images, on the same images, with the paired interval."""
    if not comparisons:
        return []
    header = ("without", "with", "images", "AUC difference (95 % interval)", "standard error", "p")
    rows = tuple(
        (
            each.baseline,
            each.treated,
            str(each.images),
            interval_text(each.interval, signed=True),
            number_text(each.standard_error),
            p_text(each.p_value),
        )
        for each in comparisons
    )
    text = (
        "The same baseline with and without synthetic images. Interval: patients are resampled whole, both classifiers "
        "alike. Standard error and p-value of no difference: DeLong, for two classes, the images of a patient as a "
        "cluster. Neither knows how much a classifier changes when it is trained anew."
    )
    return [Section("With and without synthetic images", text, (Table(header, rows),))]


def _verdict(comparison: Comparison) -> str:
    low, high = comparison.low, comparison.high
    effect = "helped" if low > 0 else "hurt" if high < 0 else "made no difference that these images can show"
    return (
        f"Synthetic images ({comparison.treated} against {comparison.baseline}) {effect}: AUC {comparison.value:+.3f}, "
        f"95 % interval {low:+.3f} to {high:+.3f}, {comparison.images} images."
    )


def _reason(left_out: NotCompared) -> str:
    return (
        f"{left_out.treated} is not compared with {left_out.nearest}, because other settings differ too: "
        f"{left_out.differences}."
    )
