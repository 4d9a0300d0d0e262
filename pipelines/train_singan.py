"""Shards -> generators of single images: trains SinGAN on every image of a class by itself.

    python -m pipelines.train_singan --shards=SHARDS --workdir=SINGAN --label=malignant --workers=2

Writes generators/<n>.npz, a file an image, samples.png, and measures of the samples. Each image is a job: `--workers`
run at a time, or as many as a Dask cluster has; what was finished stays, and an image that was interrupted goes on from
its own checkpoint. As nothing but that one image has been seen, one run serves all folds: `synthesize --gan=SINGAN`
writes shards that are aligned with the real ones, and train_classifier takes those whose images are not held out.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from absl import logging

from melgan.single_image.config import SinganConfig
from melgan.sources import Sources
from pipelines.artefacts.image_sets import require_large_images
from pipelines.artefacts.shards import Shards, class_named, open_shards
from pipelines.artefacts.singan_run import (
    AUTO,
    COMMAND,
    GENERATORS_FOLDER,
    SAMPLES_FILE,
    SinganReport,
    SinganRun,
    SingleImage,
    TrainSinganConfig,
    digest_of_all,
    steps_of_images,
)
from pipelines.contract.main import main
from pipelines.contract.progress import Progress
from pipelines.contract.workdir import folder_input, local_folder, open_workdir
from pipelines.synthesis.sources import read_sources
from pipelines.training.singan_samples import SinganSamples
from pipelines.training.single_images import SingleImageJob, finished, train_single_image
from tfrecords_tools.engines import ENGINES
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.metadata import MASKS
from tfrecords_tools.foundation.settings import inherited


def run(config: TrainSinganConfig) -> None:
    """Trains the generators of every image that is asked for."""
    workdir = open_workdir(local_folder(config.workdir, "workdir"), COMMAND, config)
    if workdir is None:
        return
    with workdir:
        shards = open_shards(config.shards, "shards", config.cache_dir)
        sources, shard_of = _choose(config, shards)
        workdir.begin({"shards": folder_input(config.shards)})
        jobs = _jobs(config, shards, sources, shard_of)
        images = _train(config, jobs)
        report = _report(shards, jobs, images)
        samples = SinganSamples(SinganRun(workdir.path, config, report), sources)
        samples.write_grid(workdir.path)
        files = [image.file for image in images]
        workdir.complete(replace(report, samples=samples.measure()), [*files, SAMPLES_FILE])
    worst = max(images, key=lambda image: image.reconstruction_error)
    logging.info(
        "%d images, reconstructed to within %.3f (%s) or less: %s",
        *(len(images), worst.reconstruction_error, worst.name, workdir.path),
    )


def _choose(config: TrainSinganConfig, shards: Shards) -> tuple[Sources, dict[str, int]]:
    """Returns the images to train on, and the index of the shard of each."""
    counts = shards.manifest.class_counts()
    label = class_named(config.label, "label", shards.classes) if config.label else int(np.argmin(counts))
    require_large_images(shards, config.image_size)
    masked = shards.manifest.masked_counts()[label]
    with_masks = config.masks == AUTO and masked == counts[label]
    if masked and not with_masks:
        logging.info("%d of %d images have masks; images are drawn without", masked, counts[label])
    sources, shard_of = read_sources(
        shards,
        shards.manifest.split("train"),
        [label],
        config.image_size,
        outlined_by=MASKS if with_masks else "",
        names=config.images,
        at_most=config.most or None,
    )
    missing = sorted(set(config.images) - set(sources.names.tolist()))
    if missing and not config.most:
        raise CommandError(
            f"--images={','.join(config.images)}: no training image of {shards.classes[label]} is called "
            f"{', '.join(missing)}"
        )
    return sources, shard_of


def _jobs(
    config: TrainSinganConfig, shards: Shards, sources: Sources, shard_of: dict[str, int]
) -> list[SingleImageJob]:
    folder = Path(config.workdir).absolute()
    (folder / GENERATORS_FOLDER).mkdir(exist_ok=True)
    images = sources.images
    if sources.masks is not None:
        images = np.concatenate([images, sources.masks[..., None]], axis=-1)
    return [
        SingleImageJob(
            number=number,
            image=images[number],
            image_name=name,
            label=int(sources.labels[number]),
            shard=shard_of[name],
            classes=shards.classes,
            folder=str(folder),
            config=inherited(config, SinganConfig),
            checkpoint_every=config.checkpoint_every,
            steps_per_call=config.steps_per_call,
            deterministic=config.deterministic,
        )
        for number, name in enumerate(sources.names.tolist())
    ]


def _train(config: TrainSinganConfig, jobs: Sequence[SingleImageJob]) -> list[SingleImage]:
    """Runs the jobs that an earlier run has not finished; returns what is recorded of all, in their order."""
    found = {job.image_name: done for job in jobs if (done := finished(job))}
    logging.info("%d images, %d steps each; %d are finished", len(jobs), steps_of_images(config, 1), len(found))
    progress = Progress("single images", len(jobs), "images", start=len(found))
    left = [job for job in jobs if job.image_name not in found]
    for image in ENGINES[config.engine](left, train_single_image, config.engine_options(config.workers)):
        found[image.name] = image
        progress.update(len(found), f"{image.name}: reconstruction {image.reconstruction_error:.3f}")
    return [found[job.image_name] for job in jobs]


def _report(shards: Shards, jobs: Sequence[SingleImageJob], images: Sequence[SingleImage]) -> SinganReport:
    indices = {image.shard for image in images}
    entries = [entry for entry in shards.manifest.split("train") if entry.index in indices]
    return SinganReport(
        generator_sha256=digest_of_all(images),
        classes=shards.classes,
        class_counts=shards.manifest.class_counts(),
        channels=jobs[0].image.shape[-1],
        images=tuple(images),
        trained_on=shards.used(entries),
    )


if __name__ == "__main__":
    main(TrainSinganConfig, run)
