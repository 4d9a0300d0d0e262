"""The page of a study: its verdict first, then what it rests on."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import astuple, replace

from melgan.metrics.intervals import Interval
from melgan.studies.arms import (
    AGAINST_IMITATION,
    CONTROLS,
    IMITATIONS,
    MORE_REAL,
    REPEATED,
    SHUFFLED,
    SYNTHETIC,
)
from melgan.studies.differences import EQUIVALENT, HARMS, HELPS, UNDECIDED
from pipelines.artefacts.study import AUC, NETWORK, SENSITIVITY, Comparison, StudyConfig, StudyReport
from pipelines.contract.workdir import read_config, read_report
from pipelines.pages import palette
from pipelines.pages.charts import forest, ratio_curves
from pipelines.pages.page import Details, Picture, Section, Table, interval_text, number_text, p_text, sentences
from pipelines.pages.study_methods import adopted_text
from tfrecords_tools.foundation.files import AnyPath

_FEW_SEEDS = 5
_METRICS = {AUC: "AUC", SENSITIVITY: "sensitivity"}
_SYNTHETIC, _CONTROLS = "synthetic images", "controls"
_COLOURS = {_SYNTHETIC: palette.SYNTHETIC, _CONTROLS: palette.OTHER}
_SAID = {HELPS: "help", HARMS: "harm", EQUIVALENT: "make no relevant difference"}


def study_sections(config: StudyConfig, report: StudyReport) -> list[Section]:
    """Returns the sections of the page; the text of the first is the verdict."""
    sections = [_result(config, report), _differences(config, report), _ratios(report), _arms(report)]
    sections += [_generators(report), _variance(report), _not_run(config, report), _limits(config, report)]
    return [section for section in sections if section.items or section.text]


def study_section(folder: AnyPath) -> Section:
    """Returns the verdict of a study, as a section of a page on several runs."""
    config, report = read_config(folder, StudyConfig), read_report(folder, StudyReport)
    return replace(_result(config, report), title="Study")


def _result(config: StudyConfig, report: StudyReport) -> Section:
    areas = report.of_family(SYNTHETIC)
    sensitivities = {each.arm: each for each in report.of_family(SYNTHETIC, SENSITIVITY)}
    against = {each.arm: each for each in report.of_family(AGAINST_IMITATION)}
    added = {arm.name: arm.added for arm in report.arms}
    header = (
        "arm",
        "verdict",
        "AUC difference (95 % for all together)",
        "the same, from as many repeated real images",
        f"sensitivity at {config.specificity:.0%} specificity",
        "images added a fold",
    )
    rows = tuple(
        (
            each.arm,
            _verdict_text(each),
            interval_text(each.difference.simultaneous, signed=True),
            interval_text(against[each.arm].difference.simultaneous, signed=True),
            interval_text(sensitivities[each.arm].difference.simultaneous, signed=True),
            f"{added[each.arm]:.0f}",
        )
        for each in areas
    )
    text = sentences(verdict(report), _against(report), _best(report), _controls(report), adopted_text(config, report))
    return Section("Result", text, (Table(header, rows),))


def _verdict_text(comparison: Comparison) -> str:
    """Returns a verdict; of one that is undecided, whether it is at least not worse by the margin."""
    is_half_decided = comparison.verdict == UNDECIDED and comparison.not_inferior
    return f"{comparison.verdict}, but not inferior" if is_half_decided else comparison.verdict


def verdict(report: StudyReport) -> str:
    """Returns the verdict on all synthetic arms, in words."""
    subject, found = f"Synthetic images of {report.label}", _by_verdict(report.of_family(SYNTHETIC))
    parts = [f"{subject} {words}: {', '.join(found[kind])}." for kind, words in _SAID.items() if kind in found]
    if not parts:
        parts.append(f"Whether synthetic images of {report.label} help is undecided.")
    elif UNDECIDED in found:
        parts.append("The others are undecided.")
    return sentences(*parts, f"This design finds differences in AUC of {report.detectable:.3f} or more.")


def _against(report: StudyReport) -> str:
    """Returns whether arms that help do more than repeating real images, which changes how often a class is seen."""
    helping = _by_verdict(report.of_family(SYNTHETIC)).get(HELPS, [])
    better = _by_verdict(report.of_family(AGAINST_IMITATION)).get(HELPS, [])
    if not helping:
        return ""
    shown = [name for name in helping if name in better]
    if not shown:
        return "None of them was found to be better than as many repeated real images."
    return f"Better than as many repeated real images: {', '.join(shown)}."


def _by_verdict(comparisons: Sequence[Comparison]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in comparisons:
        found.setdefault(each.verdict, []).append(each.arm)
    return found


def _best(report: StudyReport) -> str:
    return sentences(
        *(
            f"The ratio of {each.method} that one half of the patients chooses ({_chosen(each.chosen)}) is worth "
            f"{interval_text(Interval(each.value, each.low, each.high), signed=True)} by the other half."
            for each in report.best_ratios
        )
    )


def _chosen(ratios: Sequence[float]) -> str:
    return " and ".join(f"{ratio:g}" for ratio in dict.fromkeys(ratios))


def _controls(report: StudyReport) -> str:
    verdicts = {name: each.verdict for name, each in report.of_arms.items()}
    warnings = []
    if verdicts[SHUFFLED] != HARMS:
        warnings.append("shuffled labels were not found to harm")
    if report.of_arms[MORE_REAL].difference.alone.low <= 0:
        warnings.append("even real images of other patients, as many again, were not found to help")
    elif verdicts[MORE_REAL] != HELPS:
        warnings.append("even real images of other patients, as many again, were found to help by less than the margin")
    if verdicts[REPEATED] in (HELPS, HARMS):
        warnings.append("other seeds alone were found to make a difference, so the intervals are too narrow")
    return f"Take care: {'; '.join(warnings)}." if warnings else "All controls came out as they must."


def _differences(config: StudyConfig, report: StudyReport) -> Section:
    groups = {
        _SYNTHETIC: {each.arm: astuple(each.difference.simultaneous) for each in report.of_family(SYNTHETIC)},
        _CONTROLS: {
            name: astuple(each.difference.simultaneous)
            for name, each in report.of_arms.items()
            if each.family != SYNTHETIC and name != SHUFFLED
        },
    }
    picture = Picture(
        forest(groups, "difference in AUC", colours=_COLOURS, margin=config.margin),
        "Differences in AUC from the baseline of each arm, with 95 % intervals that hold for each family together; "
        f"grey: within the margin of {config.margin:g}. Shuffled labels are left out.",
    )
    header = (
        "arm",
        "compared with",
        "metric",
        "difference (95 % alone)",
        "standard error",
        "p alone",
        "p, max-T",
        "p, Holm",
    )
    header += ("p, DeLong", "p, folds", "probability of being better")
    rows = tuple(
        (
            each.arm,
            each.baseline,
            _METRICS[each.metric],
            interval_text(each.difference.alone, signed=True),
            number_text(each.difference.standard_error),
            *map(p_text, (each.difference.p_value, each.difference.p_max_t, each.difference.p_holm)),
            *map(p_text, (each.p_delong, each.p_corrected_t)),
            interval_text(each.difference.superiority),
        )
        for each in report.comparisons
    )
    text = (
        "Patients are resampled whole, the same for all arms, and with them the seeds of generators and classifiers. "
        "DeLong knows the images alone; the t-test of the folds is that of Nadeau and Bengio."
    )
    return Section("Differences", text, (picture, Details("All differences", (Table(header, rows),))))


def _ratios(report: StudyReport) -> Section:
    arms = {arm.name: arm for arm in report.arms}
    lines: dict[str, dict[float, tuple[float, float, float]]] = {}
    for each in report.of_arms.values():
        arm = arms[each.arm]
        if arm.ratio:
            lines.setdefault(arm.kind, {})[arm.ratio] = astuple(each.difference.alone)
    levels = {"as many real images": report.of_arms[MORE_REAL].difference.value}
    caption = (
        "Differences in AUC over the ratio of added images to real ones of the class, with 95 % intervals. Dashed: "
        "what the other half of the patients is worth to a classifier that has the first."
    )
    of_synthetic = palette.shades([name for name in lines if name in report.methods], palette.SYNTHETIC)
    chart = ratio_curves(
        lines,
        levels,
        colours=palette.shades(list(lines)) | of_synthetic,
        x_label="added images to real ones of the class",
        y_label="difference in AUC",
    )
    return Section("Ratios", "", (Picture(chart, caption),))


def _arms(report: StudyReport) -> Section:
    header = ("arm", "AUC", "sensitivity", "images added a fold", "fraction of the class", "runs", "purpose")
    rows = tuple(
        (
            arm.name,
            number_text(arm.auc),
            number_text(arm.sensitivity),
            f"{arm.added:.0f}",
            f"{arm.prior:.3f}",
            str(arm.runs),
            _purpose(arm.kind),
        )
        for arm in report.arms
    )
    text = "Metrics are the mean of folds and runs. Every classifier is shown as many images, some of them repeatedly."
    return Section("Arms", text, (Table(header, rows),))


def _purpose(kind: str) -> str:
    known = CONTROLS | IMITATIONS
    return known[kind].purpose if kind in known else "synthetic images of the class"


def _generators(report: StudyReport) -> Section:
    header = ("generator", "seed", "fold", "images", "copies rejected", "served", "by", "KID", "recall", "coverage")
    header += ("diversity",)
    rows = tuple(
        (
            each.method,
            str(each.seed),
            str(each.fold),
            str(each.images),
            str(each.rejected),
            number_text(each.served),
            each.served_by or "-",
            *map(number_text, (each.kid, each.recall, each.coverage, each.diversity)),
        )
        for each in report.generators
    )
    text = (
        f"Of the class {report.label}, by real images that the generator has not seen. Served: the worst of recall, "
        "coverage, accuracy score and reverse, each relative to that of real images; 1 is as good as those. Diversity: "
        "how much its images differ from each other, likewise."
    )
    return Section("Generators", text, (Table(header, rows),))


def _variance(report: StudyReport) -> Section:
    header = ("arm", "patients", "generator seed", "classifier seed", "fold")
    rows = tuple(
        (
            each.arm,
            number_text(math.sqrt(spread.patients)),
            number_text(spread.generators.deviation_of_one) if spread.generators.number > 1 else "-",
            number_text(spread.classifiers.deviation_of_one) if spread.classifiers.number > 1 else "-",
            number_text(statistics.stdev(each.of_folds)),
        )
        for each in report.of_arms.values()
        for spread in (each.difference.spread,)
    )
    text = (
        "Standard deviation of the difference in AUC by each source; by seeds and folds, that of one. Luck of seeds "
        "is pooled over arms, that of generators over the ratios of a method. Folds differ because other patients are "
        "in them."
    )
    return Section("Where the uncertainty comes from", text, (Table(header, rows),))


def _limits(config: StudyConfig, report: StudyReport) -> Section:
    limits = [
        *_limits_of_classifiers(config),
        "The intervals know the patients who are evaluated and the seeds, not that other patients could be trained on.",
        "Which synthetic images count as copies is told by how near held-out images are to training images.",
    ]
    if not report.has_patients:
        limits.append("No two images are of one patient, or the shards do not tell: then intervals are too narrow.")
    if config.generator_seeds < 2:
        limits.append("One generator a method and fold: by how much another would differ cannot be said.")
    if config.seeds < 2:
        limits.append("One classifier an arm and fold: by how much another would differ cannot be said.")
    elif config.seeds < _FEW_SEEDS:
        limits.append(
            f"{config.seeds} classifiers an arm and fold tell little of their luck, least of that of the yardstick, "
            "which hides another half for each."
        )
    if len(config.ratios) < 2:
        limits.append("One ratio: which is best was not asked.")
    return Section("What this study cannot say", sentences(*limits), ())


def _limits_of_classifiers(config: StudyConfig) -> list[str]:
    if config.classifier == NETWORK:
        return ["Other networks, or recipes, may use synthetic images otherwise."]
    return [
        f"Classifiers are linear, on features of {config.features}: a network that is trained whole may use synthetic "
        "images otherwise; --classifier=network tells."
    ]


def _not_run(config: StudyConfig, report: StudyReport) -> Section:
    """Returns what failed, and what is left out because of it."""
    missing = [method for method in config.methods if method not in report.methods]
    text = sentences(
        f"To keep within {config.budget_hours:g} hours, less than asked for: {'; '.join(report.cut)}."
        if report.cut
        else "",
        f"Left out, because jobs of theirs failed: {', '.join(missing)}." if report.failed else "",
    )
    rows = tuple(report.failed.items())
    return Section("What was not run", text, (Table(("job", "reason"), rows),) if rows else ())
