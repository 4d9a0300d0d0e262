"""Images of a generator that is none of ours -> synthetic shards, with what is declared of it.

    python -m pipelines.adopt_synthetic --images=STYLEGAN --shards=SHARDS --output=SYNTHETIC --generator=stylegan3 \\
        --seen=training --num_folds=5 --fold=0

Writes synthetic00-<records>.tfrec ..., manifest.json, images.csv, which tells the file of every image, rejected.csv and
grid.png. train_classifier takes the folder as that of synthesize. It is a generator, too: synthesize draws from it,
without copies if asked, evaluate_gan evaluates it, and study has it as a method.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Sequence

from absl import logging

from pipelines.artefacts.adopted_run import COMMAND, UNKNOWN, AdoptedReport, AdoptSyntheticConfig
from pipelines.artefacts.mixing import require_stored_as_encoded
from pipelines.artefacts.shards import Shards, first_images, open_shards
from pipelines.artefacts.synthetic_run import GRID_FILE
from pipelines.contract.inputs import Input, absolute
from pipelines.contract.main import main
from pipelines.contract.workdir import folder_input, open_workdir
from pipelines.conversion.writing import REJECTED_FILE, rejections_of, write_rejected
from pipelines.pages.grids import GRID_ROWS, Column, write_grid
from pipelines.synthesis.adoption import (
    DeclaredGenerator,
    adopted_manifest,
    digest_of,
    encoding_for,
    list_adopted,
    require_same_images,
    seen_entries,
    table_of,
    write_adopted,
)
from pipelines.synthesis.writing import SPLIT
from tfrecords_tools.csv_tables import write_table
from tfrecords_tools.foundation.files import AnyPath, as_path
from tfrecords_tools.manifest import MANIFEST_FILE, Manifest, read_manifest, write_manifest
from tfrecords_tools.shards import ShardResult, remove_parts
from tfrecords_tools.verifying import require_sizes

IMAGES_TABLE = "images.csv"


def run(config: AdoptSyntheticConfig) -> None:
    """Writes synthetic shards."""
    output = as_path(config.output)
    workdir = open_workdir(output, COMMAND, config)
    if workdir is None:
        require_sizes(output, read_manifest(output).shards)
        require_same_images(config, output)
        return
    with workdir:
        shards = open_shards(config.shards, "shards", config.cache_dir)
        require_stored_as_encoded(shards)
        images = list_adopted(config, shards.classes)
        generator = DeclaredGenerator(config.generator, digest_of(images), encoding_for(config, shards))
        inputs = {"images": Input(absolute(config.images), generator.sha256), "shards": folder_input(shards.folder)}
        workdir.begin(inputs)
        results = write_adopted(
            output, images, generator, shard_size=config.shard_size, max_rejected=config.max_rejected
        )
        manifest = adopted_manifest(
            config, shards, generator, [result.entry for result in results if result.entry.records]
        )
        write_table(output / IMAGES_TABLE, table_of(images, generator))
        write_rejected(output, rejections_of(results))
        write_manifest(output, manifest)
        remove_parts(output)
        _write_grid(output, manifest)
        workdir.complete(_report(config, shards, manifest), files=[MANIFEST_FILE])
    _log(config, manifest, results)


def _report(config: AdoptSyntheticConfig, shards: Shards, manifest: Manifest) -> AdoptedReport:
    return AdoptedReport(
        classes=manifest.classes,
        class_counts=manifest.class_counts(SPLIT),
        rejected_copies=(0,) * len(manifest.classes),
        real_counts=shards.class_counts(seen_entries(config, shards) or shards.manifest.split("train")),
        provenance=manifest.provenance,
    )


def _write_grid(folder: AnyPath, manifest: Manifest) -> None:
    """Writes the first images of each class."""
    stored = Shards(folder, manifest).read(manifest.shards)
    found = first_images(stored, len(manifest.classes), manifest.image_size, GRID_ROWS)
    columns = [Column(name, images) for name, images in zip(manifest.classes, found, strict=True)]
    write_grid(folder / GRID_FILE, columns, across=True)


def _log(config: AdoptSyntheticConfig, manifest: Manifest, results: Sequence[ShardResult]) -> None:
    if rejected := len(rejections_of(results)):
        logging.warning("%d images cannot be read and were left out: see %s/%s", rejected, config.output, REJECTED_FILE)
    if config.seen == UNKNOWN:
        logging.warning(
            "what %s has seen is unknown, perhaps images that a classifier is validated on: train_classifier takes "
            "these images only with --trust_unknown_generators",
            config.generator,
        )
    counts = zip(manifest.classes, manifest.class_counts(SPLIT), strict=True)
    told = ", ".join(f"{count} {name}" for name, count in counts if count)
    logging.info("synthetic images of %s: %s in %d shards: %s", config.generator, told, len(results), config.output)


if __name__ == "__main__":
    main(AdoptSyntheticConfig, run)
