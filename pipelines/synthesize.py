"""Generator -> synthetic shards, with the provenance of every image.

    python -m pipelines.synthesize --gan=GAN --output=SYNTHETIC --balance
    python -m pipelines.synthesize --gan=GAN --output=SYNTHETIC --label=malignant --count=5000
    python -m pipelines.synthesize --gan=GAN --output=SYNTHETIC --label=malignant --count=5000 --boxes=BOXES.csv

Writes synthetic00-<records>.tfrec ..., manifest.json and grid.png. Each image carries the SHA-256 of the generator's
weights, its method, seed and index; the manifest tells which real shards the generator was trained on, and those
whose weights it started from.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import tempfile
from pathlib import Path

import numpy as np
from absl import logging

from melgan.metrics.extractors import Extractor
from melgan.sampling import Requests
from pipelines.artefacts.feature_store import FeatureStore, extractor_inputs, make_extractor
from pipelines.artefacts.image_sets import SyntheticImages
from pipelines.artefacts.seen import RealShards
from pipelines.artefacts.shards import open_shards
from pipelines.artefacts.synthetic_run import COMMAND, GRID_FILE, SynthesizeConfig, SyntheticReport
from pipelines.contract.inputs import Input, file_input
from pipelines.contract.main import main
from pipelines.contract.workdir import folder_input, open_workdir
from pipelines.pages.grids import GRID_ROWS, Column, write_grid
from pipelines.synthesis.boxes import Placement, place
from pipelines.synthesis.copies import Drawn, copy_finder, draw_without_copies, require_comparable
from pipelines.synthesis.nearness import fraction_near_source
from pipelines.synthesis.opened import OpenedSampler
from pipelines.synthesis.samplers import open_sampler
from pipelines.synthesis.writing import SPLIT, synthetic_manifest, write_synthetic_shards
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, as_path
from tfrecords_tools.manifest import MANIFEST_FILE, Manifest, read_manifest, write_manifest
from tfrecords_tools.provenance import SyntheticProvenance
from tfrecords_tools.shards import remove_parts
from tfrecords_tools.verifying import require_sizes


def run(config: SynthesizeConfig) -> None:
    """Writes synthetic shards."""
    workdir = open_workdir(as_path(config.output), COMMAND, config)
    if workdir is None:
        require_sizes(as_path(config.output), read_manifest(as_path(config.output)).shards)
        return
    with workdir:
        generator = open_sampler(config.gan, "gan", config)
        placement = place(generator, config.boxes)
        labels = plan_labels(config, generator)
        copies = _open_real_images(config, generator, labels) if config.reject_copies else None
        workdir.begin(_inputs(config, copies) | generator.inputs)
        drawn = _choose_images(config, generator, labels, copies)
        manifest = _write_set(config, workdir.path, generator, placement, drawn)
        _write_grid(workdir.path, generator, placement.placed(drawn.requests))
        workdir.complete(
            SyntheticReport(
                classes=manifest.classes,
                class_counts=manifest.class_counts(SPLIT),
                rejected_copies=tuple(drawn.rejected.tolist()),
                provenance=manifest.provenance,
            ),
            files=[MANIFEST_FILE],
        )
    if config.reject_copies:
        logging.info("%d images were rejected as suspected copies of training images", drawn.rejected.sum())
    _log_nearness(manifest.provenance)
    logging.info("%d synthetic images in %d shards: %s", len(drawn.requests), len(manifest.shards), workdir.path)


def _log_nearness(provenance: SyntheticProvenance) -> None:
    """Says, of images that were made from real ones, how many lie near to theirs."""
    if not provenance.made_from:
        return
    logging.info("each image was made from real ones, of which it shows something: the set is not anonymous")
    if provenance.near_source is not None:
        logging.info(
            "%.0f %% of the images lie nearer to theirs than nineteen in twenty of the real ones lie to any other",
            100 * provenance.near_source,
        )


def _inputs(config: SynthesizeConfig, copies: tuple[RealShards, Extractor] | None) -> dict[str, Input]:
    inputs = {"gan": folder_input(config.gan)}
    if config.boxes:
        inputs["boxes"] = file_input(config.boxes)
    if copies is not None:
        inputs["shards"] = folder_input(copies[0].shards.folder)
        inputs |= extractor_inputs(config.features, config.weights)
    return inputs


def plan_labels(config: SynthesizeConfig, generator: OpenedSampler) -> np.ndarray:
    """Returns the class of every image to draw `[N]`; classes follow each other, each in one run of indices.

    Raises:
      CommandError: if the generator does not know a class, or has fewer images of one than are asked for.
    """
    if config.balance:
        missing = max(generator.class_counts) - np.asarray(generator.class_counts)
        labels = np.repeat(np.arange(len(generator.classes)), missing)
    elif config.label in generator.classes:
        label = generator.classes.index(config.label)
        labels = np.full(config.count or _all_of(generator, label), label)
    else:
        raise CommandError(
            f"--label={config.label!r} is no class of this generator; it has {', '.join(generator.classes)}"
        )
    for label, count in enumerate(np.bincount(labels, minlength=len(generator.classes)).tolist()):
        capacity = None if config.boxes else generator.sampler.capacity(label)
        if capacity is not None and count > capacity:
            raise CommandError(
                f"{count} images of {generator.classes[label]} are asked for, and this generator has {capacity} "
                "different ones; ask for fewer with --label and --count"
            )
    return labels


def _all_of(generator: OpenedSampler, label: int) -> int:
    """Returns how many images of a class there are.

    Raises:
      CommandError: if a generator has them without end, or none.
    """
    capacity = generator.sampler.capacity(label)
    if capacity is None:
        raise CommandError(f"--count is missing: this generator draws images of {generator.classes[label]} without end")
    if not capacity:
        raise CommandError(f"--label={generator.classes[label]}: this generator has no image of it; give another")
    return capacity


def _open_real_images(
    config: SynthesizeConfig, generator: OpenedSampler, labels: np.ndarray
) -> tuple[RealShards, Extractor]:
    """Returns the real images by which copies are told, and the extractor of their features."""
    shards = open_shards(config.shards or generator.shards, "shards", config.cache_dir)
    real = require_comparable(generator, shards, labels)
    return real, make_extractor(config.features, config.weights, shards, real.held_out)


def _choose_images(
    config: SynthesizeConfig,
    generator: OpenedSampler,
    labels: np.ndarray,
    copies: tuple[RealShards, Extractor] | None,
) -> Drawn:
    """Returns which images to write; the same at every start."""
    if copies is None:
        requests = Requests(index=np.arange(len(labels)), label=labels)
        return Drawn(requests, np.zeros(len(generator.classes), int))
    images = SyntheticImages(generator.sampler, (generator.identity, config.seed), config.quality)
    real, extractor = copies
    with tempfile.TemporaryDirectory() as feature_dir:
        find_copies = copy_finder(real, generator.sampler.image_size, FeatureStore(Path(feature_dir), extractor))
        return draw_without_copies(images, labels, find_copies, fewer_are_enough=not (config.balance or config.count))


def _write_set(
    config: SynthesizeConfig, folder: AnyPath, generator: OpenedSampler, placement: Placement, drawn: Drawn
) -> Manifest:
    """Writes the shards and then the manifest, which vouches for them."""
    requests, quality = drawn.requests, config.quality
    entries = write_synthetic_shards(
        folder, generator, requests, placement, shard_size=config.shard_size, quality=quality
    )
    manifest = synthetic_manifest(
        generator,
        config.gan,
        placement,
        entries,
        quality=quality,
        rejected_copies=int(drawn.rejected.sum()) if config.reject_copies else None,
        near_source=fraction_near_source(folder, entries, generator.sources),
    )
    write_manifest(folder, manifest)
    remove_parts(folder)
    return manifest


def _write_grid(folder: AnyPath, generator: OpenedSampler, requests: Requests) -> None:
    """Writes the first images of each class, as they are in the shards before compression."""
    columns = []
    for label, name in enumerate(generator.classes):
        rows = np.flatnonzero(requests.label == label)[:GRID_ROWS]
        if len(rows):
            columns.append(Column(name, generator.sampler.draw(requests.take(rows)).images))
    write_grid(folder / GRID_FILE, columns, across=True)


if __name__ == "__main__":
    main(SynthesizeConfig, run)
