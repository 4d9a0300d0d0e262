"""The section of a page on a generator."""

from collections.abc import Sequence

from melgan.metrics.diversity import COLLAPSED_BELOW
from pipelines.artefacts.diversity_history import Diversity, read_diversity
from pipelines.artefacts.evaluation_curves import read_curves
from pipelines.artefacts.generator_run import GanRun
from pipelines.artefacts.seen import describe_ancestors
from pipelines.pages import charts, palette
from pipelines.pages.evaluation_section import NAMES
from pipelines.pages.page import Picture, Section, sentences
from pipelines.pages.training_pictures import last_samples, losses


def generator_section(run: GanRun) -> Section:
    """Returns real beside synthetic images, the losses, and how diverse each class is."""
    config, report = run.config, run.report
    history = read_diversity(run.folder)
    text = (
        f"Method {config.method}, {config.image_size} px, width {config.width}, {report.steps} steps of "
        f"{config.global_batch_size} images, trained on {len(report.trained_on.shards)} shards."
    )
    return Section(
        "Generator",
        sentences(text, describe_ancestors(report.seen()), _collapse(history)),
        (
            *last_samples(run.folder, "of each class a real image and synthetic ones"),
            *losses(run.folder),
            *_diversity_curves(history, report.classes),
            *_evaluation_curves(run),
        ),
    )


def _diversity_curves(history: Sequence[Diversity], classes: Sequence[str]) -> list[Picture]:
    classes = [name for name in classes if any(name in each.of_class for each in history)]
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
    colours = palette.of_classes(classes)
    return [Picture(charts.curves({"diversity": curves}, "step", colours=colours, threshold=COLLAPSED_BELOW), caption)]


def _evaluation_curves(run: GanRun) -> list[Picture]:
    panels = {NAMES[name]: curves for name, curves in read_curves(run.folder).items()}
    if not panels:
        return []
    by = "held out" if run.config.num_folds else "of the training"
    caption = f"Evaluated in training by real images {by}, with features {run.config.eval_features}"
    best = run.report.best
    if best is not None:
        caption += f"; the best generator, by KID of {best.class_name}, is the one of step {best.step}"
    colours = palette.of_classes(run.report.classes)
    return [Picture(charts.curves(panels, "step", colours=colours), caption)]


def _collapse(history: Sequence[Diversity]) -> str:
    """Returns a sentence on the classes that ended collapsed, or none."""
    if not history or not history[-1].collapsed:
        return ""
    last = history[-1]
    named = ", ".join(f"{name} ({last.of_class[name]:.3f})" for name in sorted(last.collapsed))
    return f"Collapsed at the end: {named}; such synthetic images are nearly all alike and of no use."
