"""GAN run or synthetic shards + real shards -> how good, how diverse, how faithful per class, and is anything copied.

    python -m pipelines.evaluate_gan --gan=GAN --shards=SHARDS --output=EVALUATION --features=classifier:RUN
    python -m pipelines.evaluate_gan --synthetic=SYNTHETIC --shards=SHARDS --output=EVALUATION --features=inception

Synthetic images are evaluated by the real images that the generator did not see. Beside each metric stands the one of
as many real training images, evaluated by the same real ones: no generator can be expected to be better. Writes
metrics.csv, report.html, and pictures: real beside synthetic, the most suspicious images beside their nearest training
images, an embedding, and steps between two images of a class. Features are kept in features/ by digest, so more
metrics cost little. With --figures and --tables, the pictures and tables of the page are written as files too.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from absl import logging

from melgan.metrics import METRICS
from melgan.metrics.comparison import Comparison
from melgan.metrics.evaluation import Row, evaluate
from melgan.metrics.memorisation import FEATURES, PIXELS
from melgan.metrics.samples import Samples
from melgan.sampling import Requests
from pipelines.artefacts.evaluation import COMMAND, LEAST_PER_CLASS, EvaluateGanConfig, EvaluationReport
from pipelines.artefacts.evaluation_curves import Curves, read_curves
from pipelines.artefacts.feature_store import FeatureStore, extractor_inputs, make_extractor
from pipelines.artefacts.image_sets import ImageSet, SyntheticImages, read_images, require_large_images
from pipelines.artefacts.nearest_images import ROW_COLUMNS, nearest_table
from pipelines.artefacts.seen import RealShards, require_same_classes, selected_by, split_seen
from pipelines.artefacts.shards import Shards, open_shards, open_synthetic
from pipelines.contract.inputs import Input
from pipelines.contract.main import main
from pipelines.contract.progress import Progress
from pipelines.contract.workdir import Workdir, digest, folder_input, local_folder, open_workdir
from pipelines.pages import evaluation_pictures as pictures
from pipelines.pages.evaluation_section import evaluation_section
from pipelines.pages.page_files import write_page
from pipelines.synthesis.opened import OpenedSampler
from pipelines.synthesis.samplers import open_sampler
from tfrecords_tools.csv_tables import write_table
from tfrecords_tools.foundation.documents import as_plain
from tfrecords_tools.foundation.files import as_path, is_remote
from tfrecords_tools.provenance import SeenShards

METRICS_TABLE, NEAREST_TABLE, PAGE = "metrics.csv", "nearest.csv", "report.html"
_LOGGED = ("kid", "recall", "copies_features")
# Metrics that say nothing of real images, and the space in which each looks for copies.
_OF_SYNTHETIC_ALONE = {"memorisation": FEATURES, "memorisation_pixels": PIXELS}


@dataclass(frozen=True)
class Subject:
    """A generator to evaluate: its images, to be drawn or drawn already, and the shards that it has seen.

    `drawn_with` are settings of the drawing that are not the defaults; `curves` are the metrics in its training.
    """

    sha256: str
    method: str
    drawn_with: Mapping[str, str]
    image_size: int
    classes: tuple[str, ...]
    seen: SeenShards
    generator: OpenedSampler | None = None
    synthetic: Shards | None = None
    curves: Curves = field(default_factory=dict)


@dataclass(frozen=True)
class Sides:
    """The images, with features: synthetic ones, real ones to evaluate by, real ones seen in training.

    `baseline` are real images that are evaluated as the synthetic ones are. Where the generator has seen all images, or
    none, `training` is None, and `reference` and `baseline` are halves of them.
    """

    synthetic: Samples
    reference: Samples
    baseline: Samples
    training: Samples | None


def run(config: EvaluateGanConfig) -> None:
    """Evaluates a generator."""
    output = local_folder(config.output, "output")
    feature_dir = local_folder(config.feature_dir or str(output / "features"), "feature_dir")
    workdir = open_workdir(output, COMMAND, config)
    if workdir is None:
        return
    with workdir:
        shards = open_shards(config.shards, "shards", config.cache_dir)
        subject = _open_subject(config)
        require_same_classes("the generator", subject.classes, shards.folder, shards.classes)
        real = split_seen(subject.seen, shards, "shards")
        require_large_images(shards, subject.image_size)
        extractor = make_extractor(config.features, config.weights, shards, real.held_out)
        workdir.begin(_inputs(config) | (subject.generator.inputs if subject.generator else {}))
        sides = _gather(config, subject, real, FeatureStore(feature_dir, extractor))
        rows = _evaluate(config, workdir.path, sides, shards.classes)
        report = EvaluationReport(
            generator=subject.sha256,
            method=subject.method,
            drawn_with=dict(subject.drawn_with) or None,
            classes=shards.classes,
            image_size=subject.image_size,
            features=extractor.name,
            features_identity=extractor.identity,
            held_out=tuple(shard.file for shard in real.held_out),
            selected_by=_selected_by(subject, real),
            shards_digest=digest(shards.folder),
            curves=subject.curves,
            **{what: tuple(own) for what, own in rows.items()},
        )
        _write(workdir, config, subject, sides, report)


def _inputs(config: EvaluateGanConfig) -> dict[str, Input]:
    folders = {"gan": config.gan, "synthetic": config.synthetic, "shards": config.shards}
    inputs = {name: folder_input(path) for name, path in folders.items() if path}
    return inputs | extractor_inputs(config.features, config.weights)


def _open_subject(config: EvaluateGanConfig) -> Subject:
    if config.gan:
        generator = open_sampler(config.gan, "gan", config)
        return Subject(
            sha256=generator.sha256,
            method=generator.method,
            drawn_with=generator.drawn_with,
            image_size=generator.sampler.image_size,
            classes=generator.classes,
            seen=generator.seen,
            generator=generator,
            curves={} if is_remote(as_path(config.gan)) else read_curves(Path(config.gan)),
        )
    shards = open_synthetic(config.synthetic, "synthetic", config.cache_dir)
    provenance = shards.manifest.provenance
    return Subject(
        sha256=provenance.generator,
        method=provenance.method,
        drawn_with=provenance.drawn_with or {},
        image_size=shards.manifest.image_size,
        classes=shards.classes,
        seen=provenance.seen,
        synthetic=shards,
    )


def _selected_by(subject: Subject, real: RealShards) -> tuple[str, ...]:
    """Returns the held-out shards by which the generator was selected, with a warning if there are any."""
    found = selected_by(subject.seen, real.shards, real.held_out)
    if found:
        logging.warning(
            "this generator was selected in its run by %s, which evaluate it here: its metrics are flattered; evaluate "
            "--checkpoint=last as well, or train with --eval_by=training",
            ", ".join(found),
        )
    return found


def _gather(config: EvaluateGanConfig, subject: Subject, real: RealShards, store: FeatureStore) -> Sides:
    """Reads, draws and extracts features; copies are looked for only if real images were held out."""
    size, num_classes = subject.image_size, len(subject.classes)
    views = bool(real.held_out and real.seen) and "memorisation" in config.metric_names
    images = read_images(real.shards, real.seen or real.held_out, size)  # all of them: a copy may be of any
    if real.held_out and real.seen:
        reference = read_images(real.shards, real.held_out, size, config.most_per_class)
        training_samples = baseline = store.samples(images, "training images")
    else:
        if real.seen:
            logging.warning(
                "the generator was, or may have been, trained on all of these shards: it is evaluated by images that "
                "it has seen, and whether it copies them cannot be told; train with --num_folds and --fold to hold "
                "some out"
            )
        reference, other_half = _halves(images, config.seed)
        training_samples, baseline = None, store.samples(other_half, "other real images")
    synthetic = _synthetic_images(config, subject, reference)
    return Sides(
        synthetic=store.samples(synthetic, "synthetic images", views=views),
        reference=store.samples(reference, "real images to evaluate by", views=views),
        baseline=baseline.draw(np.bincount(synthetic.labels, minlength=num_classes), config.seed),
        training=training_samples,
    )


def _halves(images: ImageSet, seed: int) -> tuple[ImageSet, ImageSet]:
    """Returns two halves of images, with groups whole."""
    codes = np.unique(images.groups, return_inverse=True)[1]
    first = np.random.default_rng(seed).permutation(codes.max() + 1) % 2 == 0
    return images.take(np.flatnonzero(first[codes])), images.take(np.flatnonzero(~first[codes]))


def _synthetic_images(config: EvaluateGanConfig, subject: Subject, reference: ImageSet) -> ImageSet:
    if subject.synthetic is not None:
        entries = subject.synthetic.manifest.shards
        return read_images(subject.synthetic, entries, subject.image_size, config.most_per_class)
    sampler, num_classes = subject.generator.sampler, len(subject.classes)
    wanted = np.full(num_classes, config.images_per_class)
    if not config.images_per_class:
        wanted = np.maximum(np.bincount(reference.labels, minlength=num_classes), LEAST_PER_CLASS)
    capacities = [sampler.capacity(label) for label in range(num_classes)]
    counts = [int(n) if most is None else min(int(n), most) for n, most in zip(wanted, capacities, strict=True)]
    labels = np.repeat(np.arange(num_classes), counts)
    images = SyntheticImages(sampler, (subject.generator.identity, config.seed), config.quality)
    return images.draw(Requests(index=np.arange(len(labels)), label=labels))


def _evaluate(config: EvaluateGanConfig, folder: Path, sides: Sides, classes: Sequence[str]) -> dict[str, list[Row]]:
    """Returns metrics of synthetic images, and of real ones beside them; writes which images may be copies."""
    metrics = config.metric_names
    synthetic = Comparison(sides.synthetic, sides.reference, training=sides.training, seed=config.seed)
    real = Comparison(sides.baseline, sides.reference, seed=config.seed)
    rows = {
        "synthetic": _with_progress("synthetic", synthetic, classes, metrics),
        "real": _with_progress("real", real, classes, [name for name in metrics if name not in _OF_SYNTHETIC_ALONE]),
    }
    spaces = [space for name, space in _OF_SYNTHETIC_ALONE.items() if name in metrics]
    if sides.training is not None and spaces:
        nearest = nearest_table(synthetic, classes, spaces)
        write_table(folder / NEAREST_TABLE, nearest.drop(columns=ROW_COLUMNS))
        pictures.write_most_suspicious(folder, sides.synthetic, sides.training, nearest)
    return rows


def _with_progress(what: str, comparison: Comparison, classes: Sequence[str], metrics: Sequence[str]) -> list[Row]:
    progress = Progress(f"metrics of {what} images", (1 + len(classes)) * len(metrics), "metrics")
    return evaluate(comparison, classes, metrics=metrics, progress=progress.update)


def _write(
    workdir: Workdir, config: EvaluateGanConfig, subject: Subject, sides: Sides, report: EvaluationReport
) -> None:
    """Writes pictures, the table of metrics, the page and the report."""
    folder = workdir.path
    pictures.write_real_and_synthetic(folder, sides.reference, sides.synthetic, report.classes)
    pictures.write_embedding(folder, sides.reference, sides.synthetic, report.classes, config.seed)
    if subject.generator is not None:
        pictures.write_interpolations(folder, subject.generator.sampler)
    _write_table(folder / METRICS_TABLE, report)
    sections, title = [evaluation_section(folder, report)], f"melgan: {folder.name}"
    files = write_page(folder / PAGE, title, sections, figures=config.figures, tables=config.tables)
    workdir.complete(report, [METRICS_TABLE, *files])
    _log(report)
    logging.info("report: %s", folder / PAGE)


def _write_table(path: Path, report: EvaluationReport) -> None:
    """Writes a line a metric; with each the extractor, where it reads features, and the counts."""
    lines = [
        {"images": what, **as_plain(row), "features": report.features if METRICS[row.metric].reads_features else ""}
        for what, own in (("synthetic", report.synthetic), ("real", report.real))
        for row in own
    ]
    write_table(path, pd.DataFrame(lines))


def _log(report: EvaluationReport) -> None:
    for row in report.synthetic:
        if row.name in _LOGGED and row.value is not None:
            reach = "" if row.low is None else f" (95 % interval {row.low:.4g} to {row.high:.4g})"
            logging.info(
                "%s %s %.4g%s, %d synthetic by %d real images, features: %s",
                *(row.name, row.scope, row.value, reach, row.evaluated, row.reference, report.features),
            )


if __name__ == "__main__":
    main(EvaluateGanConfig, run)
