"""The sampler of a run of train_singan: the generators of every image that it was trained on."""

from dataclasses import replace
from functools import partial

import numpy as np

from melgan.single_image.sampler import SingleImageSampler, TrainedImage
from melgan.single_image.stack import GeneratorStack
from pipelines.artefacts.shards import open_shards, split_fold
from pipelines.artefacts.singan_run import METHOD, SinganRun, open_singan_run, read_real_images, read_weights
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.synthesis.opened import OpenedSampler
from tfrecords_tools.foundation.errors import CommandError


def open_singan(path: str, field: str, settings: SamplingSettings) -> OpenedSampler:
    """Returns the sampler of a SinGAN run that a setting names.

    Raises:
      CommandError: if the run is not complete or damaged, or a fold is held out that leaves no image.
      ConfigError: for a scale to start from that there is not.
    """
    run = open_singan_run(path, field)
    if settings.num_folds:
        run = _without_fold(run, settings)
    sampler = sampler_of(run, seed=settings.seed, start_scale=settings.start_scale)
    shard_of = {image.name: image.shard for image in run.report.images}
    return OpenedSampler(
        sampler=sampler,
        sha256=run.report.generator_sha256,
        method=METHOD,
        seed=settings.seed,
        seen=run.report.seen,
        class_counts=run.report.class_counts,
        shards=run.config.shards,
        sources=read_real_images(run),
        drawn_with={"start_scale": str(settings.start_scale)} if settings.start_scale else {},
        shard_of=shard_of,
        own_shard_of=lambda requests: np.array([shard_of[name] for name in sampler.sources(requests)]),
    )


def _without_fold(run: SinganRun, settings: SamplingSettings) -> SinganRun:
    """Returns a run as one of the images that a fold does not hold out.

    Raises:
      CommandError: if none is left, or the shards of the run are others now.
    """
    shards, trained_on = open_shards(run.config.shards, "shards", settings.cache_dir), run.report.trained_on
    if shards.manifest.folds_fingerprint != trained_on.folds_fingerprint:
        raise CommandError(
            f"{shards.folder}: holds shards of other folds now than those that {run.folder} was trained on; leave "
            "--num_folds out, or train anew"
        )
    training, _ = split_fold(shards.manifest, settings.num_folds, settings.fold)
    left = {entry.index for entry in training}
    images = tuple(image for image in run.report.images if image.shard in left)
    if not images:
        raise CommandError(
            f"--fold={settings.fold}: holds out all {len(run.report.images)} images that {run.folder} was trained on; "
            "give another, or train on more images"
        )
    seen = [entry for entry in training if entry.index in trained_on.indices]
    return replace(run, report=replace(run.report, images=images, trained_on=shards.used(seen)))


def sampler_of(run: SinganRun, *, seed: int, start_scale: int) -> SingleImageSampler:
    """Returns the sampler of all images of a run; the weights of each are read when it is its turn."""
    images = [
        TrainedImage(name=each.name, label=each.label, weights=partial(read_weights, run.folder, each))
        for each in run.report.images
    ]
    stack = GeneratorStack(run.config, run.report.channels)
    return SingleImageSampler(stack, images, run.report.classes, seed=seed, start_scale=start_scale)
