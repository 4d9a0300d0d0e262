"""The sections of a page on translators, and on generators of single images."""

from pathlib import Path

from melgan.translation.translators import TRANSLATORS
from pipelines.artefacts.seen import describe_ancestors
from pipelines.artefacts.singan_run import SAMPLES_FILE, SampleMeasures, SinganReport
from pipelines.artefacts.translator_run import TranslatorReport, TranslatorRun
from pipelines.pages.page import Picture, Section, Table, sentences
from pipelines.pages.rasters import read_raster
from pipelines.pages.training_pictures import last_samples, losses


def translator_section(run: TranslatorRun) -> Section:
    """Returns real images beside what became of them, and the losses."""
    config, report = run.config, run.report
    text = (
        f"Method {report.method}, {config.image_size} px, width {config.width}, {report.steps} steps of "
        f"{config.global_batch_size} images, {_ways(report)}, trained on {len(report.trained_on.shards)} shards."
    )
    text = sentences(
        text, describe_ancestors(report.seen), "Its images show something of the real ones that they are made from."
    )
    pictures = (*last_samples(run.folder, "real images, and beside them what became of them"), *losses(run.folder))
    return Section("Translator", text, pictures)


def _ways(report: TranslatorReport) -> str:
    """Returns from what to what images are translated."""
    if TRANSLATORS[report.method].is_paired:
        return "from masks of all classes to any class"
    return f"from {', '.join(report.source_classes)} to {report.target_class}"


def singan_section(folder: Path, report: SinganReport) -> Section:
    """Returns what was trained on which images, and samples."""
    errors = sorted(image.reconstruction_error for image in report.images)
    text = (
        f"SinGAN, trained on {len(report.images)} images of {report.classes[report.images[0].label]}, each by itself. "
        "Samples are variations of one real image, and the nearer to it the finer the scale that they start at; they "
        "are not anonymous. Diversity is the deviation of a pixel over samples, over that of the image; coherence is "
        "how far patches of samples lie from the nearest of the image, and completeness the reverse, in grey levels."
    )
    table = Table(
        ("reconstruction error", "of 2"),
        (("median", f"{errors[len(errors) // 2]:.3f}"), ("largest", f"{errors[-1]:.3f}")),
    )
    measures = Table(
        ("samples from", "diversity", "distance", "coherence", "completeness"),
        tuple(_measures(each) for each in report.samples),
    )
    picture = Picture(read_raster(folder / SAMPLES_FILE), "Real images, and samples that start at the first scales")
    return Section("Generators of single images", text, (table, *([measures] if report.samples else []), picture))


def _measures(measures: SampleMeasures) -> tuple[str, ...]:
    """Returns the row of samples that start at a scale, or of other real images."""
    name = "other images" if measures.start_scale is None else f"scale {measures.start_scale}"
    ratios = ("" if value is None else f"{value:.3f}" for value in (measures.diversity, measures.distance))
    return (name, *ratios, f"{measures.coherence:.1f}", f"{measures.completeness:.1f}")
