"""Any set of runs -> report.html: one page that needs nothing from outside, for a screen, a phone or paper.

    python -m pipelines.report --runs=SHARDS,GAN,SYNTHETIC,BASELINE,MIXED,SUBMISSION --output=REPORT

Runs are folders of any stage, in any order. Classifiers that differ in nothing but their synthetic images are
compared on the images that both predicted.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import json
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from absl import logging

from melgan.metrics.diversity import COLLAPSED_BELOW
from pipelines.artefacts.metrics_file import read_metrics
from pipelines.artefacts.predictions import auc_difference, read_predictions, scores
from pipelines.contract.main import main
from pipelines.contract.workdir import digest, local_folder, open_workdir, read_run, require_completed
from pipelines.pages import charts
from pipelines.pages.evaluation_page import NAMES, compared_sections, evaluation_section
from pipelines.pages.page import Picture, Run, Section, Table, interval_text, render
from pipelines.watches.diversity import SERIES as DIVERSITY
from pipelines.watches.diversity import read_judgements
from pipelines.watches.evaluation import SERIES as EVALUATION
from pipelines.watches.evaluation import read_curves
from tfrecords_tools.foundation.files import write_atomically
from tfrecords_tools.foundation.settings import setting
from tfrecords_tools.manifest import read_manifest

REPORT_PAGE = "report.html"
# Settings in which classifiers may differ and still be the same baseline, with and without synthetic images.
_NOT_BASELINE = {"workdir", "folds", "synthetic", "synthetic_fraction", "steps_per_call", "deterministic"}
_MAX_CURVE_POINTS = 400


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Settings of report."""

    runs: tuple[str, ...] = setting(help="folders of any stage, separated by commas")
    output: str = setting(help="folder of report.html")
    title: str = setting("melgan report", "title of the page")


def run(config: ReportConfig) -> None:
    """Writes the page."""
    folders = [require_completed(path, "runs") for path in config.runs]
    runs = [Run(folder, *read_run(folder)) for folder in folders]
    workdir = open_workdir(local_folder(config.output, "output"), "report", config)
    if workdir is None:
        return
    by_stage = {name: [run for run in runs if run.settings["stage"] == name] for name in SECTIONS}
    comparisons = compare(by_stage["train_classifier"])
    sections = [section for section in [headline(by_stage, comparisons)] if section]
    for name, make_section in SECTIONS.items():
        sections += [make_section(run) for run in by_stage[name]]
        if name == "train_classifier" and comparisons:
            sections.append(comparison_section(comparisons))
        if name == "evaluate_gan":
            sections += compared_sections(by_stage[name])
    sections.append(provenance_section(runs))
    write_atomically(workdir.path / REPORT_PAGE, render(config.title, sections))
    workdir.complete({"runs": {str(run.folder): digest(run.folder) for run in runs}, "comparisons": comparisons})
    logging.info("report: %s", workdir.path / REPORT_PAGE)


def compare(classifiers: list[Run]) -> list[dict]:
    """Returns the AUC differences of every classifier with synthetic images from its baseline without."""
    baselines = {_baseline_key(run): run for run in classifiers if not run.settings["synthetic_fraction"]}
    comparisons = []
    for run in classifiers:
        baseline = baselines.get(_baseline_key(run))
        if run.settings["synthetic_fraction"] and baseline is not None:
            classes = tuple(run.report["classes"])
            difference = auc_difference(_oof(baseline), _oof(run), classes, seed=run.settings["seed"])
            comparisons.append({"without": baseline.name, "with": run.name, "classes": classes, **difference})
    return comparisons


def headline(by_stage: dict[str, list[Run]], comparisons: list[dict]) -> Section | None:
    """Returns the section that answers first: how good, and did synthetic images help."""
    classifiers = by_stage["train_classifier"]
    if not classifiers:
        return None
    rows = tuple(
        (
            run.name,
            run.settings["backbone"],
            _share(run),
            str(run.report["images"]),
            interval_text(run.report["figures"]["auc"]),
        )
        for run in classifiers
    )
    header = ("classifier", "network", "synthetic", "images judged", "AUC (95 % interval)")
    text = " ".join(_verdict(comparison) for comparison in comparisons)
    return Section("Result", text, (Table(header, rows),))


def shards_section(run: Run) -> Section:
    """Counts per class, split and shard."""
    manifest = read_manifest(run.folder)
    shards = manifest.split("train")
    per_class = {name: [shard.class_counts[i] for shard in shards] for i, name in enumerate(manifest.classes)}
    total = sum(manifest.class_counts())
    rows = tuple(
        (name, str(sum(counts)), f"{sum(counts) / total:.1%}", _range(counts)) for name, counts in per_class.items()
    )
    table = Table(("class", "training images", "share", "in each shard"), rows)
    bars = charts.stacked_bars([shard.index for shard in shards], per_class, "training shard")
    test = sum(shard.records for shard in manifest.split("test"))
    text = (
        f"Source {manifest.source}, {manifest.image_size} px, {len(shards)} training shards; {test} test images; "
        f"{manifest.rejected} images left out; {manifest.duplicates['images']} images were found to be duplicates, in "
        f"{manifest.duplicates['groups']} groups. A fold is a set of whole shards; neither patients nor groups of "
        "duplicates cross shards."
    )
    return Section(f"Data: {run.name}", text, (table, Picture(bars, "Images of each class in every training shard")))


def gan_section(run: Run) -> Section:
    """Real beside synthetic images, the losses, and how diverse each class is."""
    items: list[Table | Picture] = []
    grids = sorted((run.folder / "samples").glob("*.png"))
    if grids:
        caption = f"Step {int(grids[-1].stem)}: each column a class; first row real, below it synthetic"
        items.append(Picture(charts.png_data_uri(grids[-1]), caption))
    lines = read_metrics(run.folder)
    for series in dict.fromkeys(line["series"] for line in lines if line["series"] not in (DIVERSITY, EVALUATION)):
        own = _thinned([line for line in lines if line["series"] == series])
        steps = [line["step"] for line in own]
        names = [name for name in own[0] if name not in ("series", "step")]
        panels = {name.replace("_", " "): {name: (steps, [line[name] for line in own])} for name in names}
        items.append(Picture(charts.curves(panels, "step"), f"Training of the {series}"))
    items += [*_diversity_curves(run), *_evaluation_curves(run)]
    trained_on = run.report["trained_on"]["shards"]
    text = (
        f"Method {run.settings['method']}, {run.settings['image_size']} px, width {run.settings['width']}, "
        f"{run.report['steps']} steps of {run.settings['global_batch_size']} images, "
        f"trained on {len(trained_on)} shards."
    )
    origin = _origin(run.report["trained_on"], run.report.get("ancestors", []))
    return Section(f"Generator: {run.name}", _sentences(text, origin, _collapse(run)), tuple(items))


def synthetic_section(run: Run) -> Section:
    """Counts and a grid of what was drawn."""
    counts = [(name, str(n)) for name, n in zip(run.report["classes"], run.report["class_counts"], strict=True) if n]
    items: list[Table | Picture] = [Table(("class", "synthetic images"), tuple(counts))]
    if (run.folder / "grid.png").is_file():
        items.append(Picture(charts.png_data_uri(run.folder / "grid.png"), "First synthetic images of each class"))
    provenance = run.report["provenance"]
    text = f"Drawn with seed {provenance['seed']} by generator {provenance['generator'][:12]} ({provenance['method']})."
    origin = _origin(provenance["trained_on"], provenance.get("ancestors", []))
    return Section(f"Synthetic images: {run.name}", _sentences(text, origin), tuple(items))


def classifier_section(run: Run) -> Section:
    """Figures with intervals, curves over the epochs, ROC and precision-recall."""
    rows = tuple((name.replace("_", " "), interval_text(figure)) for name, figure in run.report["figures"].items())
    table = Table(("out-of-fold figure", "value (95 % interval)"), rows)
    caption = "ROC and precision-recall of the out-of-fold predictions; dotted: a classifier that guesses"
    pictures = (
        Picture(charts.roc_and_precision_recall(_scored(run)), caption),
        Picture(_epoch_curves(run), "Training loss and validation AUC of every fold"),
    )
    synthetic = f"{_share(run)} synthetic images in training" if run.settings["synthetic"] else "real images only"
    text = (
        f"{run.settings['backbone']} at {run.settings['image_size']} px, weights {run.settings['weights']}, "
        f"{run.settings['epochs']} epochs, {synthetic}. Recall is that of the most probable class."
    )
    return Section(f"Classifier: {run.name}", text, (table, _fold_table(run), *pictures))


def submission_section(run: Run) -> Section:
    """What was submitted."""
    table = pd.read_csv(run.folder / "submission.csv")
    quantiles = table["target"].quantile([0, 0.25, 0.5, 0.75, 1]).map(lambda value: f"{value:.4f}")
    header = ("rows", "models averaged", "lowest", "25 %", "median", "75 %", "highest")
    row = (str(len(table)), str(run.report["models"]), *quantiles)
    return Section(f"Submission: {run.name}", f"Probability of {run.report['label']}.", (Table(header, (row,)),))


def comparison_section(comparisons: list[dict]) -> Section:
    """With and without synthetic images, on the same images, with the paired interval."""
    header = ("without", "with", "images", "AUC difference (95 % interval)")
    rows = tuple((c["without"], c["with"], str(c["images"]), interval_text(c, signed=True)) for c in comparisons)
    text = "The same baseline with and without synthetic images; patients are resampled whole, both classifiers alike."
    return Section("With and without synthetic images", text, (Table(header, rows),))


def provenance_section(runs: list[Run]) -> Section:
    """What each run was made from, with which versions."""
    header = ("run", "stage", "seconds", "digest")
    rows = tuple(
        (run.name, run.settings["stage"], f"{run.report['seconds']:g}", digest(run.folder)[:16]) for run in runs
    )
    versions = {name: version for run in runs for name, version in run.report["versions"].items()}
    settings = tuple((run.name, json.dumps({k: v for k, v in run.settings.items() if k != "stage"})) for run in runs)
    return Section(
        "Provenance",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        (Table(header, rows), Table(("run", "settings"), settings)),
    )


SECTIONS: dict[str, Callable[[Run], Section]] = {
    "make_shards": shards_section,
    "train_gan": gan_section,
    "synthesize": synthetic_section,
    "evaluate_gan": evaluation_section,
    "train_classifier": classifier_section,
    "make_submission": submission_section,
}


def _diversity_curves(run: Run) -> list[Picture]:
    judgements = read_judgements(run.folder)
    classes = dict.fromkeys(name for judgement in judgements for name in judgement.diversity)
    if not classes:
        return []
    curves = {}
    for name in classes:
        own = [judgement for judgement in judgements if name in judgement.diversity]
        curves[name] = ([judgement.step for judgement in own], [judgement.diversity[name] for judgement in own])
    caption = (
        "How much the synthetic images of each class differ from each other, where 1 is as much as its real images do; "
        f"below the dashed line ({COLLAPSED_BELOW:g}) the class has collapsed"
    )
    return [Picture(charts.curves({"diversity": curves}, "step", threshold=COLLAPSED_BELOW), caption)]


def _evaluation_curves(run: Run) -> list[Picture]:
    panels = {NAMES[figure]: curves for figure, curves in read_curves(run.folder).items()}
    if not panels:
        return []
    best, held_out = run.report.get("best"), run.settings["num_folds"]
    caption = (
        f"Judged in training by real images {'held out' if held_out else 'of the training'}, with features "
        f"{run.settings['eval_features']}"
    )
    if best:
        caption += f"; the best generator, by KID of {best['class']}, is that of step {best['step']}"
    return [Picture(charts.curves(panels, "step"), caption)]


def _collapse(run: Run) -> str:
    """Returns a sentence on the classes that ended collapsed, or none."""
    judgements = read_judgements(run.folder)
    if not judgements or not judgements[-1].collapsed:
        return ""
    diversity, collapsed = judgements[-1].diversity, sorted(judgements[-1].collapsed)
    named = ", ".join(f"{name} ({diversity[name]:.3f})" for name in collapsed)
    return f"Collapsed at the end: {named}; such synthetic images are nearly all alike and of no use."


def _origin(trained_on: dict, ancestors: list[dict]) -> str:
    """Returns a sentence on what the generators saw whose weights a generator started from, or none."""
    if not ancestors:
        return ""
    fingerprint = trained_on["folds_fingerprint"]
    same = [ancestor for ancestor in ancestors if ancestor["folds_fingerprint"] == fingerprint]
    indices = sorted({index for ancestor in same for index in ancestor["indices"]})
    seen = [f"shards {', '.join(map(str, indices))} of the same folds"] if indices else []
    others = {
        ancestor["folds_fingerprint"][:12]: len(ancestor["shards"]) for ancestor in ancestors if ancestor not in same
    }
    seen += [f"{count} shards of other folds ({name})" for name, count in others.items()]
    warning = "; whether the latter show patients who are validated on cannot be told from the shards" if others else ""
    return f"It started from the weights of a generator that saw {' and '.join(seen)}{warning}."


def _sentences(*texts: str) -> str:
    return " ".join(text for text in texts if text)


def _oof(run: Run) -> pd.DataFrame:
    return read_predictions(run.folder / "oof.csv", run.report["classes"])


def _fold_table(run: Run) -> Table:
    classes, best_epochs = run.report["classes"], run.report["best_epochs"]
    counts = _oof(run).groupby(["fold", "label"]).size()
    rows = tuple(
        (fold, f"{auc:.3f}", str(best_epochs[fold]), *(str(counts.get((int(fold), i), 0)) for i in range(len(classes))))
        for fold, auc in run.report["fold_auc"].items()
    )
    return Table(("fold", "validation AUC", "best epoch", *(f"{name} in it" for name in classes)), rows)


def _scored(run: Run) -> charts.Scored:
    """One curve for two classes, else one curve a class against the rest."""
    labels, probabilities = scores(_oof(run))
    classes = run.report["classes"]
    wanted = [1] if len(classes) == 2 else range(len(classes))
    return {classes[label]: (labels == label, probabilities[:, label]) for label in wanted}


def _epoch_curves(run: Run) -> str:
    lines = read_metrics(run.folder)
    panels: dict[str, dict] = {"training loss": {}, "validation AUC": {}}
    for fold in run.report["folds"]:
        own = [line for line in lines if line["series"] == f"fold{fold}"]
        judged = [line for line in own if "validation_auc" in line]
        epoch_of = {line["step"]: line["epoch"] for line in judged}
        losses = [line for line in own if "loss" in line and line["step"] in epoch_of]
        name = f"fold {fold}"
        panels["training loss"][name] = ([epoch_of[x["step"]] for x in losses], [x["loss"] for x in losses])
        panels["validation AUC"][name] = ([x["epoch"] for x in judged], [x["validation_auc"] for x in judged])
    return charts.curves(panels, "epoch")


def _baseline_key(run: Run) -> str:
    return json.dumps(
        {name: value for name, value in run.settings.items() if name not in _NOT_BASELINE}, sort_keys=True
    )


def _verdict(comparison: dict) -> str:
    low, high, value = comparison["low"], comparison["high"], comparison["value"]
    effect = "helped" if low > 0 else "hurt" if high < 0 else "made no difference that these images can show"
    return (
        f"Synthetic images ({comparison['with']} against {comparison['without']}) {effect}: AUC {value:+.3f}, "
        f"95 % interval {low:+.3f} to {high:+.3f}, {comparison['images']} images."
    )


def _share(run: Run) -> str:
    return f"{run.settings['synthetic_fraction']:.0%}"


def _range(counts: list[int]) -> str:
    return f"{min(counts)} to {max(counts)}"


def _thinned(lines: list[dict]) -> list[dict]:
    step = -(-len(lines) // _MAX_CURVE_POINTS)
    return lines[::step]


if __name__ == "__main__":
    main(ReportConfig, run)
