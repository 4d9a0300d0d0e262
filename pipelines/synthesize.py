"""Generator -> synthetic shards, with the provenance of every image.

    python -m pipelines.synthesize --gan=GAN --output=SYNTHETIC --balance
    python -m pipelines.synthesize --gan=GAN --output=SYNTHETIC --label=malignant --count=5000
    python -m pipelines.synthesize --gan=GAN --output=SYNTHETIC --label=malignant --count=5000 --boxes=BOXES.csv

Writes synthetic00-<records>.tfrec ..., manifest.json and grid.png. Each image carries the SHA-256 of the generator's
weights, its method, seed and index; the manifest tells which real shards the generator was trained on, and those
whose weights it started from.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import logging

from melgan.metrics.extractors import EXTRACTORS
from melgan.sampling import sample_images
from pipelines.artefacts.feature_store import require_known_features
from pipelines.artefacts.generator_run import CHECKPOINTS, LoadedGenerator, load_generator
from pipelines.artefacts.image_sets import QUALITY
from pipelines.contract.main import main
from pipelines.contract.progress import Progress
from pipelines.contract.workdir import is_completed, open_workdir, read_run
from pipelines.pages.grids import SYNTHETIC, write_grid
from pipelines.synthesis.boxes import Placing, place, stored
from pipelines.synthesis.copies import Drawn, copy_finder, draw_without_copies
from tfrecords_tools import example
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path, is_remote
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.images import encode_jpeg
from tfrecords_tools.manifest import Manifest, ShardEntry, write_manifest
from tfrecords_tools.shards import ShardResult, read_part, remove_leftovers, remove_parts, write_examples, write_part

SPLIT = "synthetic"
_GRID_ROWS = 8


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig:
    """Settings of synthesize."""

    gan: str = setting(help="folder that train_gan wrote")
    output: str = setting(help="folder of the synthetic shards")
    label: str = setting("", "name of the class to draw")
    count: int = setting(0, "how many images of --label")
    boxes: str = setting(
        "", "CSV of where lesions are placed: x_min, y_min, x_max, y_max as shares of the sides, a row an image in turn"
    )
    checkpoint: str = setting("last", "which generator of the run", choices=CHECKPOINTS)
    reject_copies: bool = setting(
        False, "draw others in place of images nearer to a training image than held-out real ones are"
    )
    shards: str = setting("", "real shards, for --reject_copies (default: those of the GAN run)")
    features: str = setting(
        "pixels", f"where copies are looked for, beside pixels: {', '.join(EXTRACTORS)} or classifier:RUN"
    )
    weights: str = setting("", "file of InceptionV3's ImageNet weights, where they cannot be downloaded")
    cache_dir: str = setting("", "local copies of shards that lie in a bucket", changes_result=False)
    balance: bool = setting(False, "bring every class to the count of the largest in the training shards")
    seed: int = setting(0, "seed of the latents")
    shard_size: int = setting(1000, "images per shard")
    quality: int = setting(QUALITY, "JPEG quality, 1 to 100")

    def __post_init__(self) -> None:
        require(self.count >= 0, "count", self.count, "0 or greater")
        require_known_features(self.features, "features")
        require(
            not (self.boxes and self.reject_copies),
            "boxes",
            self.boxes,
            "left out with --reject_copies, which looks at images with the boxes that the generator chooses",
        )
        require(self.shard_size >= 1, "shard_size", self.shard_size, "at least 1")
        require(1 <= self.quality <= 100, "quality", self.quality, "from 1 to 100")
        require(0 <= self.seed < 2**31, "seed", self.seed, "from 0 to 2147483647")


def run(config: SynthesizeConfig) -> None:
    """Writes synthetic shards."""
    generator = load_generator(config.gan, "gan", config.checkpoint)
    placing = place(generator, config.boxes)
    labels = plan_labels(config, generator.report["classes"], generator.report["class_counts"])
    drawn = None if is_completed(as_path(config.output)) else _draw(config, generator, labels)
    workdir = open_workdir(as_path(config.output), "synthesize", config)
    if workdir is None:
        return
    entries = _write_shards(config, placing, drawn)
    manifest = _manifest(config, placing, entries, drawn)
    write_manifest(workdir.path, manifest)
    remove_parts(workdir.path)
    _write_grid(config, placing, drawn)
    counts = manifest.class_counts(SPLIT)
    workdir.complete(
        {
            "classes": manifest.classes,
            "class_counts": counts,
            "rejected_copies": drawn.rejected.tolist(),
            "provenance": manifest.provenance,
        }
    )
    if config.reject_copies:
        logging.info("%d images were rejected as suspected copies of training images", drawn.rejected.sum())
    logging.info("%d synthetic images in %d shards: %s", len(labels), len(entries), workdir.path)


def plan_labels(config: SynthesizeConfig, classes: list[str], class_counts: list[int]) -> np.ndarray:
    """Returns the class of every image to draw `[N]`; classes follow each other, each in one run of indices.

    Raises:
      CommandError: if the settings do not say what to draw, or name a class that the generator does not know.
    """
    if config.balance == bool(config.label or config.count):
        raise CommandError("say what to draw: either --balance, or --label with --count")
    if config.balance:
        missing = max(class_counts) - np.asarray(class_counts)
        return np.repeat(np.arange(len(classes)), missing)
    if config.label not in classes:
        raise CommandError(f"--label={config.label!r} is no class of this generator; it has {', '.join(classes)}")
    if not config.count:
        raise CommandError("--count is missing: how many images of --label to draw")
    return np.full(config.count, classes.index(config.label))


def _draw(config: SynthesizeConfig, generator: LoadedGenerator, labels: np.ndarray) -> Drawn:
    """Returns which images to write; the same at every start."""
    if not config.reject_copies:
        return Drawn(np.arange(len(labels)), labels, np.zeros(len(generator.report["classes"]), int))
    with tempfile.TemporaryDirectory() as feature_dir:
        find_copies = copy_finder(
            generator,
            labels,
            shards_path=config.shards or read_run(as_path(config.gan))[0]["shards"],
            features=config.features,
            weights=config.weights,
            cache_dir=config.cache_dir,
            feature_dir=Path(feature_dir),
        )
        return draw_without_copies(generator, labels, config.seed, find_copies)


def _write_shards(config: SynthesizeConfig, placing: Placing, drawn: Drawn) -> list[ShardEntry]:
    """Writes the shards that an earlier run has not finished; classes are spread over the shards."""
    output, num_classes = as_path(config.output), len(placing.generator.report["classes"])
    num_shards = -(-len(drawn.labels) // config.shard_size)
    done = {index: part for index in range(num_shards) if (part := read_part(output, SPLIT, index))}
    remove_leftovers(output, keep=[part.entry.file for part in done.values()])
    progress = Progress(
        "synthetic images", len(drawn.labels), "images", sum(part.entry.records for part in done.values())
    )
    entries = []
    for index in range(num_shards):
        if index not in done:
            rows = np.arange(index, len(drawn.labels), num_shards)
            examples = _examples(config, placing, drawn.labels[rows], drawn.indices[rows])
            entry = write_examples(output, SPLIT, index, examples, num_classes)
            done[index] = write_part(output, ShardResult(entry, ()))
        entries.append(done[index].entry)
        progress.update(sum(entry.records for entry in entries))
    return entries


def _examples(
    config: SynthesizeConfig, placing: Placing, labels: np.ndarray, indices: np.ndarray
) -> Iterator[example.Example]:
    generator, boxes = placing.generator, placing.boxes(labels, config.seed, indices)
    sha256, method, size = generator.sha256, generator.config.method, generator.config.image_size
    images = sample_images(generator.network, labels, config.seed, indices=indices, boxes=boxes)
    for row, (index, label, image) in enumerate(zip(indices, labels, images, strict=True)):
        yield example.Example(
            image=encode_jpeg(image, config.quality),
            image_name=f"{method}_{sha256[:8]}_{config.seed}_{index:07d}",
            target=int(label),
            width=size,
            height=size,
            boxes=() if boxes is None else stored(boxes[row]),
            provenance=example.Provenance(generator=sha256, method=method, seed=config.seed, index=int(index)),
        )


def _manifest(config: SynthesizeConfig, placing: Placing, entries: list[ShardEntry], drawn: Drawn) -> Manifest:
    generator, report = placing.generator, placing.generator.report
    return Manifest(
        source=SPLIT,
        source_fingerprint=generator.sha256,
        folds_fingerprint="",
        classes=tuple(report["classes"]),
        image_size=generator.config.image_size,
        encoder={"format": "JPEG", "quality": config.quality, "subsampling": "4:4:4"},
        shards=tuple(entries),
        codes={"target": {name: code for code, name in enumerate(report["classes"])}},
        boxes=placing.source,
        provenance={
            "generator": generator.sha256,
            "gan": config.gan if is_remote(as_path(config.gan)) else os.path.abspath(config.gan),
            "method": generator.config.method,
            "seed": config.seed,
            "boxes": placing.source or None,
            "rejected_copies": int(drawn.rejected.sum()) if config.reject_copies else None,
            "trained_on": report["trained_on"],
            "selected_on": generator.selected_on,
            "ancestors": report.get("ancestors", []),
        },
    )


def _write_grid(config: SynthesizeConfig, placing: Placing, drawn: Drawn) -> None:
    """Writes the first images drawn of each class, as they are in the shards before compression."""
    network, classes, columns, names = placing.generator.network, placing.generator.report["classes"], [], []
    for label, name in enumerate(classes):
        rows = np.flatnonzero(drawn.labels == label)[:_GRID_ROWS]
        if len(rows):
            labels, indices = drawn.labels[rows], drawn.indices[rows]
            boxes = placing.boxes(labels, config.seed, indices)
            images = sample_images(network, labels, config.seed, indices=indices, boxes=boxes)
            columns.append(np.stack(list(images)))
            names.append(name)
    if columns:
        write_grid(as_path(config.output) / "grid.png", columns, names, [SYNTHETIC] * _GRID_ROWS)


if __name__ == "__main__":
    main(SynthesizeConfig, run)
