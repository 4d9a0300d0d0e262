"""The section of a page on a generator."""

from collections.abc import Sequence

from melgan.metrics.diversity import COLLAPSED_BELOW
from pipelines.artefacts import diversity_history, evaluation_curves
from pipelines.artefacts.diversity_history import Diversity, read_diversity
from pipelines.artefacts.evaluation_curves import read_curves
from pipelines.artefacts.generator_run import GanRun
from pipelines.artefacts.metrics_file import MetricsLine, read_metrics
from pipelines.artefacts.seen import describe_ancestors
from pipelines.pages import charts
from pipelines.pages.evaluation_section import NAMES
from pipelines.pages.page import Picture, Section, sentences

_MAX_CURVE_POINTS = 400


def generator_section(run: GanRun) -> Section:
    """Returns real beside synthetic images, the losses, and how diverse each class is."""
    config, report = run.config, run.report
    history = read_diversity(run.folder)
    text = (
        f"Method {config.method}, {config.image_size} px, width {config.width}, {report.steps} steps of "
        f"{config.global_batch_size} images, trained on {len(report.trained_on.shards)} shards."
    )
    return Section(
        f"Generator: {run.folder.name}",
        sentences(text, describe_ancestors(report.seen()), _collapse(history)),
        (*_last_samples(run), *_losses(run), *_diversity_curves(history), *_evaluation_curves(run)),
    )


def _last_samples(run: GanRun) -> list[Picture]:
    grids = sorted((run.folder / "samples").glob("*.png"))
    if not grids:
        return []
    caption = f"Step {int(grids[-1].stem)}: each column a class; first row real, below it synthetic"
    return [Picture(charts.png_data_uri(grids[-1]), caption)]


def _losses(run: GanRun) -> list[Picture]:
    """Returns the curves of each training: of the autoencoder, if there was one, and of the GAN."""
    of_series: dict[str, list[MetricsLine]] = {}
    for line in read_metrics(run.folder):
        of_series.setdefault(line.series, []).append(line)
    return [
        Picture(_metric_curves(lines), f"Training of the {series}")
        for series, lines in of_series.items()
        if series not in (diversity_history.SERIES, evaluation_curves.SERIES)
    ]


def _metric_curves(lines: Sequence[MetricsLine]) -> str:
    own = lines[:: -(-len(lines) // _MAX_CURVE_POINTS)]
    steps = [line.step for line in own]
    panels = {name.replace("_", " "): {name: (steps, [line.metrics[name] for line in own])} for name in own[0].metrics}
    return charts.curves(panels, "step")


def _diversity_curves(history: Sequence[Diversity]) -> list[Picture]:
    classes = dict.fromkeys(name for each in history for name in each.of_class)
    if not classes:
        return []
    curves = {}
    for name in classes:
        own = [each for each in history if name in each.of_class]
        curves[name] = ([each.step for each in own], [each.of_class[name] for each in own])
    caption = (
        "How much the synthetic images of each class differ from each other, where 1 is as much as its real images do; "
        f"below the dashed line ({COLLAPSED_BELOW:g}) the class has collapsed"
    )
    return [Picture(charts.curves({"diversity": curves}, "step", threshold=COLLAPSED_BELOW), caption)]


def _evaluation_curves(run: GanRun) -> list[Picture]:
    panels = {NAMES[name]: curves for name, curves in read_curves(run.folder).items()}
    if not panels:
        return []
    by = "held out" if run.config.num_folds else "of the training"
    caption = f"Evaluated in training by real images {by}, with features {run.config.eval_features}"
    best = run.report.best
    if best is not None:
        caption += f"; the best generator, by KID of {best.class_name}, is the one of step {best.step}"
    return [Picture(charts.curves(panels, "step"), caption)]


def _collapse(history: Sequence[Diversity]) -> str:
    """Returns a sentence on the classes that ended collapsed, or none."""
    if not history or not history[-1].collapsed:
        return ""
    last = history[-1]
    named = ", ".join(f"{name} ({last.of_class[name]:.3f})" for name in sorted(last.collapsed))
    return f"Collapsed at the end: {named}; such synthetic images are nearly all alike and of no use."
