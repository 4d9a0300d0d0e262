"""The sections of a page that answer its question: how good are the classifiers, and did synthetic images help."""

from collections.abc import Sequence
from dataclasses import astuple

from pipelines.artefacts.classifier_run import ClassifierRun
from pipelines.artefacts.comparisons import Comparison, NotCompared
from pipelines.pages import charts, palette
from pipelines.pages.classifier_section import seen_as_declared, synthetic_fraction
from pipelines.pages.page import Picture, Section, Table, interval_text, number_text, p_text, sentences

_WITH, _WITHOUT = "with synthetic images", "real images only"
_COLOURS = {_WITH: palette.SYNTHETIC, _WITHOUT: palette.REAL}
_OF_IMAGES = (
    "The interval is over images and knows nothing of seeds: the same training with another seed may differ by more. "
    "The command study (make study) trains with several seeds and measures that."
)


def result_section(
    classifiers: Sequence[ClassifierRun], comparisons: Sequence[Comparison], left_out: Sequence[NotCompared]
) -> list[Section]:
    """Returns the section that comes first; none without classifiers."""
    if not classifiers:
        return []
    header = ("classifier", "AUC, mean of the folds (95 % interval)", "synthetic images", "images evaluated", "network")
    rows = tuple(
        (
            run.name,
            interval_text(run.mean_auc),
            synthetic_fraction(run),
            str(run.report.images),
            run.config.backbone,
        )
        for run in classifiers
    )
    declared = dict.fromkeys(sentence for run in classifiers for sentence in seen_as_declared(run))
    text = sentences(*map(_verdict, comparisons), _OF_IMAGES if comparisons else "", *declared, *map(_reason, left_out))
    return [Section("Result", text, (Table(header, rows), *_areas(classifiers)))]


def comparison_section(comparisons: Sequence[Comparison]) -> list[Section]:
    """Returns classifiers with and without synthetic images, on the same images, with the paired interval."""
    if not comparisons:
        return []
    header = ("with", "without", "AUC difference (95 % interval)", "trainings on each side", "images")
    header += ("standard error", "p")
    rows = tuple(
        (
            each.treated,
            each.baseline,
            interval_text(each.interval, signed=True),
            f"{_count(each.folds, 'fold')} x 1 seed",
            str(each.images),
            number_text(each.standard_error),
            p_text(each.p_value),
        )
        for each in comparisons
    )
    text = (
        "The same baseline with and without synthetic images. Interval: patients are resampled whole, both classifiers "
        "alike. Standard error and p-value of no difference: DeLong, for two classes, the images of a patient as a "
        f"cluster. {_OF_IMAGES}"
    )
    return [Section("With and without synthetic images", text, (Table(header, rows),))]


def _areas(classifiers: Sequence[ClassifierRun]) -> list[Picture]:
    """Returns the AUC of several classifiers, side by side."""
    if len(classifiers) < 2:
        return []
    groups: dict[str, dict[str, tuple[float, float, float]]] = {}
    for run in sorted(classifiers, key=lambda run: run.config.synthetic_fraction > 0):
        group = _WITH if run.config.synthetic_fraction else _WITHOUT
        groups.setdefault(group, {})[run.name] = astuple(run.mean_auc)
    chart = charts.forest(groups, "AUC, mean of the folds", colours=_COLOURS)
    return [Picture(chart, "AUC of each classifier, with 95 % intervals")]


def _verdict(comparison: Comparison) -> str:
    low, high = comparison.low, comparison.high
    effect = "helped" if low > 0 else "hurt" if high < 0 else "made no difference that these images can show"
    return (
        f"Synthetic images ({comparison.treated} against {comparison.baseline}) {effect}: AUC {comparison.value:+.3f}, "
        f"95 % interval {low:+.3f} to {high:+.3f}, {comparison.images} images, "
        f"{_count(comparison.folds, 'training')} on each side."
    )


def _reason(left_out: NotCompared) -> str:
    return (
        f"{left_out.treated} is not compared with {left_out.nearest}, because other settings differ too: "
        f"{left_out.differences}."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
