"""GAN run or synthetic shards + real shards -> how good, how diverse, how faithful per class, and is anything copied.

    python -m pipelines.evaluate_gan --gan=GAN --shards=SHARDS --output=EVALUATION --features=classifier:RUN
    python -m pipelines.evaluate_gan --synthetic=SYNTHETIC --shards=SHARDS --output=EVALUATION --features=inception

Synthetic images are judged by the real images that the generator did not see; beside each figure stands that of real
training images, as many, judged by the same ones: it cannot be much better. Writes metrics.csv, report.html, and
pictures: real beside synthetic, the most suspicious images beside their nearest training images, an embedding, and
steps between two images of a class. Features are kept in features/ by digest, so more metrics cost little.
"""

import pipelines.quiet_tensorflow  # noqa: F401

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from absl import logging

from melgan.config import require, setting
from melgan.errors import look_up
from melgan.metrics import METRICS
from melgan.metrics.evaluation import Row, evaluate
from melgan.metrics.extractors import EXTRACTORS
from melgan.metrics.samples import Samples
from pipelines import evaluation_pictures as pictures
from pipelines import stage
from pipelines.evaluation_page import evaluation_section
from pipelines.feature_store import CLASSIFIER_PREFIX, FeatureStore, make_extractor
from pipelines.generator_file import CHECKPOINTS, LoadedGenerator, load_generator
from pipelines.inputs import Shards, open_shards, open_synthetic, split_seen
from pipelines.judged_images import MOST_PER_CLASS, ImageSet, draw_images, read_images
from pipelines.page import Run, render
from pipelines.progress import Progress
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.storage import write_atomically

METRICS_TABLE, PAGE = "metrics.csv", "report.html"
_LOGGED = ("kid", "recall", "copies_features")
_LEAST_PER_CLASS = 100


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
        if not self.features.startswith(CLASSIFIER_PREFIX):
            look_up(EXTRACTORS, self.features, "features")
        if bool(self.gan) == bool(self.synthetic):
            raise stage.StageError("say what to judge: either --gan, or --synthetic")


@dataclass(frozen=True)
class Subject:
    """What is judged: who made it, from which shards, and the generator if there is one to draw from."""

    sha256: str
    method: str
    image_size: int
    classes: tuple[str, ...]
    trained_on: dict
    generator: LoadedGenerator | None
    synthetic: Shards | None


@dataclass(frozen=True)
class Judged:
    """The sets of images, with features: synthetic ones, real ones to judge by, real ones seen in training.

    `baseline` are real images that are judged as the synthetic ones are. Where nothing was held out, `held_out` is
    False; `reference` are then half of the real images, `baseline` the other half, and `training` all of them.
    """

    synthetic: Samples
    reference: Samples
    baseline: Samples
    training: Samples
    held_out: bool


def run(config: EvaluateGanConfig) -> None:
    """Judges a generator."""
    shards = open_shards(config.shards, "shards", config.cache_dir)
    subject = _open_subject(config)
    _require_same_classes(subject, shards)
    seen, held_out = split_seen(shards, subject.trained_on, "shards")
    output = stage.local_folder(config.output, "output")
    extractor = make_extractor(config.features, config.weights, shards, held_out)
    workdir = stage.open_workdir(output, "evaluate_gan", config)
    if workdir is None:
        return
    store = FeatureStore(Path(config.feature_dir or workdir.path / "features"), extractor)
    judged = _gather(config, subject, shards, seen, held_out, store)
    metrics = config.metrics or tuple(METRICS)
    rows = _evaluate("synthetic", judged.synthetic, judged, shards, metrics, config.seed)
    without_copies = tuple(name for name in metrics if name != "memorisation")
    real_rows = _evaluate("real", judged.baseline, judged, shards, without_copies, config.seed)
    _write_pictures(workdir.path, judged, subject, shards.manifest.classes, config.seed)
    _write_table(workdir.path / METRICS_TABLE, extractor.name, {"synthetic": rows, "real": real_rows})
    report = {
        "generator": subject.sha256,
        "method": subject.method,
        "classes": shards.manifest.classes,
        "image_size": subject.image_size,
        "features": extractor.name,
        "features_identity": extractor.identity,
        "held_out": [shard.file for shard in held_out],
        "shards_digest": stage.digest(shards.folder),
        "synthetic": [_plain(row) for row in rows],
        "real": [_plain(row) for row in real_rows],
    }
    settings = {"stage": "evaluate_gan", **asdict(config)}
    section = evaluation_section(Run(workdir.path, settings, report))
    write_atomically(workdir.path / PAGE, render(f"melgan: {workdir.path.name}", [section]))
    workdir.complete(report)
    for row in rows:
        if row.figure in _LOGGED and row.interval is not None:
            interval = row.interval
            logging.info(
                "%s %s %.4g (95 %% interval %.4g to %.4g), %d synthetic by %d real images, features: %s",
                *(row.figure, row.scope, interval.value, interval.low, interval.high, row.judged, row.reference),
                extractor.name,
            )
    logging.info("report: %s", workdir.path / PAGE)


def _open_subject(config: EvaluateGanConfig) -> Subject:
    if config.gan:
        generator = load_generator(config.gan, "gan", config.checkpoint)
        report, gan = generator.report, generator.config
        return Subject(
            *(generator.sha256, gan.method, gan.image_size, tuple(report["classes"]), report["trained_on"]),
            generator=generator,
            synthetic=None,
        )
    shards = open_synthetic(config.synthetic, "synthetic", config.cache_dir)
    manifest, made_by = shards.manifest, shards.manifest.provenance
    return Subject(
        *(made_by["generator"], made_by["method"], manifest.image_size, manifest.classes, made_by["trained_on"]),
        generator=None,
        synthetic=shards,
    )


def _require_same_classes(subject: Subject, shards: Shards) -> None:
    if subject.classes != shards.manifest.classes:
        raise stage.StageError(
            f"the generator knows the classes {', '.join(subject.classes)}, those of {shards.folder} are "
            f"{', '.join(shards.manifest.classes)}; give the shards that it was trained on"
        )


def _gather(
    config: EvaluateGanConfig,
    subject: Subject,
    shards: Shards,
    seen: Sequence[ShardEntry],
    held_out: Sequence[ShardEntry],
    store: FeatureStore,
) -> Judged:
    """Reads, draws and extracts features; copies are looked for only if real images were held out."""
    size, most = subject.image_size, config.most_per_class
    training = read_images(shards, seen, size)  # all of them: a copy may be of any
    if held_out:
        reference, baseline = read_images(shards, held_out, size, most), training
    else:
        logging.warning(
            "the generator was trained on all of these shards: it is judged by images that it has seen, and whether it "
            "copies them cannot be told; train with --num_folds and --fold to hold some out"
        )
        reference, baseline = _halves(training, config.seed)
    synthetic = _synthetic_images(config, subject, reference, len(shards.manifest.classes))
    drawn = np.bincount(synthetic.labels, minlength=len(shards.manifest.classes))
    copies = bool(held_out)
    training_samples = store.samples(training, "training images")
    baseline_samples = training_samples if held_out else store.samples(baseline, "other real images")
    return Judged(
        synthetic=store.samples(synthetic, "synthetic images", views=copies),
        reference=store.samples(reference, "held-out images" if copies else "real images", views=copies),
        baseline=baseline_samples.first(drawn),
        training=training_samples,
        held_out=copies,
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


def _evaluate(
    what: str, samples: Samples, judged: Judged, shards: Shards, metrics: Sequence[str], seed: int
) -> list[Row]:
    classes = shards.manifest.classes
    progress = Progress(f"metrics of {what} images", (1 + len(classes)) * len(metrics), "metrics")
    training = judged.training if judged.held_out else None
    return evaluate(
        samples,
        judged.reference,
        classes,
        training=training,
        seed=seed,
        metrics=metrics,
        progress=progress.update,
    )


def _write_pictures(folder: Path, judged: Judged, subject: Subject, classes: Sequence[str], seed: int) -> None:
    pictures.write_real_and_synthetic(folder, judged.reference, judged.synthetic, classes)
    pictures.write_embedding(folder, judged.reference, judged.synthetic, classes, seed)
    if judged.held_out:
        pictures.write_most_suspicious(folder, judged.synthetic, judged.reference, judged.training, classes)
    if subject.generator is not None:
        pictures.write_interpolations(folder, subject.generator.network, classes, seed)


def _write_table(path: Path, features: str, rows: dict[str, list[Row]]) -> None:
    """Writes a line a figure; with each the extractor and the counts, without which it means nothing."""
    lines = [{"images": what, **_plain(row), "features": features} for what, own in rows.items() for row in own]
    write_atomically(path, pd.DataFrame(lines).to_csv(index=False))


def _plain(row: Row) -> dict:
    """Returns a row as JSON can hold it: what is not a number is None."""
    values = asdict(row)
    interval = values.pop("interval") or {"value": None, "low": None, "high": None}
    return values | {name: None if value is None or np.isnan(value) else value for name, value in interval.items()}


if __name__ == "__main__":
    stage.main(EvaluateGanConfig, run)
