"""GAN run or synthetic shards + real shards -> how good, how diverse, how faithful per class, and is anything copied.

    python -m pipelines.evaluate_gan --gan=GAN --shards=SHARDS --output=EVALUATION --features=classifier:RUN
    python -m pipelines.evaluate_gan --synthetic=SYNTHETIC --shards=SHARDS --output=EVALUATION --features=inception

Synthetic images are judged by the real images that the generator did not see; beside each figure stands that of real
training images, as many, judged by the same ones: it cannot be much better. Writes metrics.csv, report.html, and
pictures: real beside synthetic, the most suspicious images beside their nearest training images, an embedding, and
steps between two images of a class. Features are kept in features/ by digest, so more metrics cost little.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from absl import logging

from melgan.metrics import METRICS
from melgan.metrics.comparison import Comparison
from melgan.metrics.evaluation import Row, evaluate
from melgan.metrics.extractors import EXTRACTORS
from melgan.metrics.memorisation import FEATURES, PIXELS
from melgan.metrics.samples import Samples
from pipelines.artefacts.feature_store import FeatureStore, make_extractor, require_known_features
from pipelines.artefacts.generator_run import CHECKPOINTS, LoadedGenerator, load_generator
from pipelines.artefacts.image_sets import MOST_PER_CLASS, ImageSet, draw_images, read_images
from pipelines.artefacts.nearest_images import ROW_COLUMNS, nearest_table
from pipelines.artefacts.seen import split_seen
from pipelines.artefacts.shards import Shards, open_shards, open_synthetic
from pipelines.contract.main import main
from pipelines.contract.progress import Progress
from pipelines.contract.workdir import digest, local_folder, open_workdir
from pipelines.pages import evaluation_pictures as pictures
from pipelines.pages.evaluation_page import evaluation_section
from pipelines.pages.page import Run, render
from pipelines.watches.evaluation import read_curves
from tfrecords_tools.foundation.errors import CommandError, look_up
from tfrecords_tools.foundation.files import as_path, is_remote, write_atomically
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.manifest import ShardEntry

METRICS_TABLE, NEAREST_TABLE, PAGE = "metrics.csv", "nearest.csv", "report.html"
_LOGGED = ("kid", "recall", "copies_features")
_LEAST_PER_CLASS = 100
# Metrics that say nothing of real images, and the space in which each looks for copies.
_OF_SYNTHETIC_ALONE = {"memorisation": FEATURES, "memorisation_pixels": PIXELS}


@dataclass(frozen=True, kw_only=True)
class EvaluateGanConfig:
    """Settings of evaluate_gan."""

    gan: str = setting("", "folder that train_gan wrote, to draw from; or --synthetic")
    synthetic: str = setting("", "folder that synthesize wrote; or --gan")
    shards: str = setting(help="real shards that the generator was trained on, all folds of them")
    output: str = setting(help="folder of the figures and pictures")
    checkpoint: str = setting("last", "which generator of --gan", choices=CHECKPOINTS)
    features: str = setting("inception", f"what turns images into features: {', '.join(EXTRACTORS)} or classifier:RUN")
    weights: str = setting("", "file of InceptionV3's ImageNet weights, where they cannot be downloaded")
    metrics: tuple[str, ...] = setting((), f"of {', '.join(METRICS)}; all by default")
    images_per_class: int = setting(
        0, f"images to draw of each class; 0: as many as real ones are held out, and {_LEAST_PER_CLASS} at least"
    )
    most_per_class: int = setting(
        MOST_PER_CLASS, "held-out or synthetic images read of each class at most; of those of the training, all are"
    )
    seed: int = setting(0, "seed of the latents, and of what is drawn for intervals")
    feature_dir: str = setting("", "folder of the features (default: features/ in --output)", changes_result=False)
    cache_dir: str = setting("", "local copies of shards that lie in a bucket", changes_result=False)

    def __post_init__(self) -> None:
        require(self.images_per_class >= 0, "images_per_class", self.images_per_class, "0 or greater")
        require(self.most_per_class >= 2, "most_per_class", self.most_per_class, "at least 2")
        require(0 <= self.seed < 2**31, "seed", self.seed, "from 0 to 2147483647")
        for name in self.metrics:
            look_up(METRICS, name, "metrics")
        require_known_features(self.features, "features")
        if bool(self.gan) == bool(self.synthetic):
            raise CommandError("say what to judge: either --gan, or --synthetic")
        if self.synthetic and (self.checkpoint != "last" or self.images_per_class):
            raise CommandError(
                "--checkpoint and --images_per_class choose what is drawn of --gan; the images of --synthetic are drawn"
            )


@dataclass(frozen=True)
class Subject:
    """What is judged: who made it, from which shards, and the generator if there is one to draw from.

    `selected_on` are the shards by which the generator was chosen among those of its run, None where it was not.
    `curves` are what was judged in its training: figure -> class -> (steps, values).
    """

    sha256: str
    method: str
    image_size: int
    classes: tuple[str, ...]
    trained_on: dict
    selected_on: dict | None
    generator: LoadedGenerator | None = None
    synthetic: Shards | None = None
    curves: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Sides:
    """The images, with features: synthetic ones, real ones to judge by, real ones seen in training.

    `baseline` are real images that are judged as the synthetic ones are. Where nothing was held out, `training` is
    None, and `reference` and `baseline` are halves of the images that the generator has seen.
    """

    synthetic: Samples
    reference: Samples
    baseline: Samples
    training: Samples | None


def run(config: EvaluateGanConfig) -> None:
    """Judges a generator."""
    shards = open_shards(config.shards, "shards", config.cache_dir)
    subject = _open_subject(config)
    _require_same_classes(subject, shards)
    seen, held_out = split_seen(shards, subject.trained_on, "shards")
    output = local_folder(config.output, "output")
    feature_dir = local_folder(config.feature_dir or str(output / "features"), "feature_dir")
    extractor = make_extractor(config.features, config.weights, shards, held_out)
    workdir = open_workdir(output, "evaluate_gan", config)
    if workdir is None:
        return
    metrics = tuple(dict.fromkeys(config.metrics)) or tuple(METRICS)
    facts = {
        "generator": subject.sha256,
        "method": subject.method,
        "classes": shards.manifest.classes,
        "image_size": subject.image_size,
        "features": extractor.name,
        "features_identity": extractor.identity,
        "held_out": [shard.file for shard in held_out],
        "chosen_by": _chosen_by(subject, shards, held_out),
        "shards_digest": digest(shards.folder),
        "curves": subject.curves,
    }
    sides = _gather(config, subject, shards, seen, held_out, FeatureStore(feature_dir, extractor), metrics)
    rows = _judge(config, workdir.path, sides, shards.manifest.classes, metrics)
    _write_pictures(workdir.path, sides, subject, shards.manifest.classes, config.seed)
    _write_table(workdir.path / METRICS_TABLE, extractor.name, rows)
    report = facts | {what: [_plain(row) for row in own] for what, own in rows.items()}
    section = evaluation_section(Run(workdir.path, {"stage": "evaluate_gan", **asdict(config)}, report))
    write_atomically(workdir.path / PAGE, render(f"melgan: {workdir.path.name}", [section]))
    workdir.complete(report)
    _log(rows["synthetic"], extractor.name)
    logging.info("report: %s", workdir.path / PAGE)


def _judge(
    config: EvaluateGanConfig, folder: Path, sides: Sides, classes: Sequence[str], metrics: Sequence[str]
) -> dict[str, list[Row]]:
    """Returns the figures of synthetic images, and of real ones beside them; writes which images may be copies."""
    synthetic = Comparison(sides.synthetic, sides.reference, training=sides.training, seed=config.seed)
    real = Comparison(sides.baseline, sides.reference, seed=config.seed)
    rows = {
        "synthetic": _evaluate("synthetic", synthetic, classes, metrics),
        "real": _evaluate("real", real, classes, [name for name in metrics if name not in _OF_SYNTHETIC_ALONE]),
    }
    if sides.training is not None and set(metrics) & set(_OF_SYNTHETIC_ALONE):
        _write_copies(folder, synthetic, classes, metrics)
    return rows


def _open_subject(config: EvaluateGanConfig) -> Subject:
    if config.gan:
        generator = load_generator(config.gan, "gan", config.checkpoint)
        return Subject(
            sha256=generator.sha256,
            method=generator.config.method,
            image_size=generator.config.image_size,
            classes=tuple(generator.report["classes"]),
            trained_on=generator.report["trained_on"],
            selected_on=generator.selected_on,
            generator=generator,
            curves={} if is_remote(as_path(config.gan)) else read_curves(Path(config.gan)),
        )
    shards = open_synthetic(config.synthetic, "synthetic", config.cache_dir)
    manifest, made_by = shards.manifest, shards.manifest.provenance
    return Subject(
        sha256=made_by["generator"],
        method=made_by["method"],
        image_size=manifest.image_size,
        classes=manifest.classes,
        trained_on=made_by["trained_on"],
        selected_on=made_by.get("selected_on"),
        synthetic=shards,
    )


def _require_same_classes(subject: Subject, shards: Shards) -> None:
    if subject.classes != shards.manifest.classes:
        raise CommandError(
            f"the generator knows the classes {', '.join(subject.classes)}, those of {shards.folder} are "
            f"{', '.join(shards.manifest.classes)}; give the shards that it was trained on"
        )


def _chosen_by(subject: Subject, shards: Shards, held_out: Sequence[ShardEntry]) -> list[str]:
    """Returns the held-out shards by which the generator was chosen, with a warning if there are any."""
    selected_on = subject.selected_on
    if selected_on is None or selected_on["folds_fingerprint"] != shards.manifest.folds_fingerprint:
        return []
    chosen_by = [shard.file for shard in held_out if shard.index in selected_on["indices"]]
    if chosen_by:
        logging.warning(
            "this generator was chosen among those of its run by %s, which judge it here: its figures are flattered; "
            "judge --checkpoint=last as well, or train with --eval_by=training",
            ", ".join(chosen_by),
        )
    return chosen_by


def _gather(
    config: EvaluateGanConfig,
    subject: Subject,
    shards: Shards,
    seen: Sequence[ShardEntry],
    held_out: Sequence[ShardEntry],
    store: FeatureStore,
    metrics: Sequence[str],
) -> Sides:
    """Reads, draws and extracts features; copies are looked for only if real images were held out."""
    size, num_classes = subject.image_size, len(shards.manifest.classes)
    training = read_images(shards, seen, size)  # all of them: a copy may be of any
    views = bool(held_out) and "memorisation" in metrics
    if held_out:
        reference = read_images(shards, held_out, size, config.most_per_class)
        training_samples = baseline = store.samples(training, "training images")
    else:
        logging.warning(
            "the generator was trained on all of these shards: it is judged by images that it has seen, and whether it "
            "copies them cannot be told; train with --num_folds and --fold to hold some out"
        )
        reference, other_half = _halves(training, config.seed)
        training_samples, baseline = None, store.samples(other_half, "other real images")
    synthetic = _synthetic_images(config, subject, reference, num_classes)
    return Sides(
        synthetic=store.samples(synthetic, "synthetic images", views=views),
        reference=store.samples(reference, "real images to judge by", views=views),
        baseline=baseline.draw(np.bincount(synthetic.labels, minlength=num_classes), config.seed),
        training=training_samples,
    )


def _halves(images: ImageSet, seed: int) -> tuple[ImageSet, ImageSet]:
    """Returns two halves of images, with groups whole."""
    codes = np.unique(images.groups, return_inverse=True)[1]
    first = np.random.default_rng(seed).permutation(codes.max() + 1) % 2 == 0
    return images.take(np.flatnonzero(first[codes])), images.take(np.flatnonzero(~first[codes]))


def _synthetic_images(config: EvaluateGanConfig, subject: Subject, reference: ImageSet, num_classes: int) -> ImageSet:
    if subject.synthetic is not None:
        entries = subject.synthetic.manifest.shards
        return read_images(subject.synthetic, entries, subject.image_size, config.most_per_class)
    counts = np.full(num_classes, config.images_per_class)
    if not config.images_per_class:
        counts = np.maximum(np.bincount(reference.labels, minlength=num_classes), _LEAST_PER_CLASS)
    labels = np.repeat(np.arange(num_classes), counts)
    return draw_images(subject.generator.network, subject.sha256, labels, config.seed)


def _evaluate(what: str, comparison: Comparison, classes: Sequence[str], metrics: Sequence[str]) -> list[Row]:
    progress = Progress(f"metrics of {what} images", (1 + len(classes)) * len(metrics), "metrics")
    return evaluate(comparison, classes, metrics=metrics, progress=progress.update)


def _write_pictures(folder: Path, sides: Sides, subject: Subject, classes: Sequence[str], seed: int) -> None:
    pictures.write_real_and_synthetic(folder, sides.reference, sides.synthetic, classes)
    pictures.write_embedding(folder, sides.reference, sides.synthetic, classes, seed)
    if subject.generator is not None:
        pictures.write_interpolations(folder, subject.generator.network, classes, seed)


def _write_copies(folder: Path, comparison: Comparison, classes: Sequence[str], metrics: Sequence[str]) -> None:
    """Writes the nearest training image of every synthetic one, and a picture of the most suspicious ones."""
    spaces = [space for name, space in _OF_SYNTHETIC_ALONE.items() if name in metrics]
    nearest = nearest_table(comparison, classes, spaces)
    write_atomically(folder / NEAREST_TABLE, nearest.drop(columns=ROW_COLUMNS).to_csv(index=False))
    pictures.write_most_suspicious(folder, comparison.judged, comparison.training, nearest)


def _write_table(path: Path, features: str, rows: dict[str, list[Row]]) -> None:
    """Writes a line a figure; with each the extractor, where it reads features, and the counts."""
    lines = [
        {"images": what, **_plain(row), "features": features if METRICS[row.metric].reads_features else ""}
        for what, own in rows.items()
        for row in own
    ]
    write_atomically(path, pd.DataFrame(lines).to_csv(index=False))


def _log(rows: Sequence[Row], features: str) -> None:
    for row in rows:
        if row.figure in _LOGGED and row.interval is not None:
            interval = row.interval
            reach = "" if np.isnan(interval.low) else f" (95 % interval {interval.low:.4g} to {interval.high:.4g})"
            logging.info(
                "%s %s %.4g%s, %d synthetic by %d real images, features: %s",
                *(row.figure, row.scope, interval.value, reach, row.judged, row.reference, features),
            )


def _plain(row: Row) -> dict:
    """Returns a row as JSON can hold it: what is not a number is None."""
    values = asdict(row)
    interval = values.pop("interval") or {"value": None, "low": None, "high": None}
    return values | {name: None if value is None or np.isnan(value) else value for name, value in interval.items()}


if __name__ == "__main__":
    main(EvaluateGanConfig, run)
