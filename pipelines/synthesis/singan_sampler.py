"""The sampler of a run of train_singan: the generators of every image that it was trained on."""

from dataclasses import replace
from functools import partial

import numpy as np

from melgan.single_image.pasting_sampler import PastingSampler
from melgan.single_image.sampler import SingleImageSampler, TrainedImage
from melgan.single_image.stack import GeneratorStack
from pipelines.artefacts.shards import Shards, open_shards, split_fold
from pipelines.artefacts.singan_run import METHOD, SinganRun, open_singan_run, read_real_images, read_weights
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.synthesis.opened import OpenedSampler
from pipelines.synthesis.sources import read_sources
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.metadata import MASKS


def open_singan(path: str, field: str, settings: SamplingSettings) -> OpenedSampler:
    """Returns the sampler of a SinGAN run that a setting names.

    Raises:
      CommandError: if the run is not complete or damaged, or a fold is held out that leaves no image.
      ConfigError: for a scale to start from that there is not.
    """
    run = open_singan_run(path, field)
    if settings.num_folds:
        run = _without_fold(run, settings)
    shard_of = {image.name: image.shard for image in run.report.images}
    if settings.paste_scale:
        sampler, shard_of = _pasting_sampler(run, settings)
    else:
        sampler = sampler_of(run, seed=settings.seed, start_scale=settings.start_scale)
    scales = {name: getattr(settings, name) for name in ("start_scale", "paste_scale")}
    return OpenedSampler(
        sampler=sampler,
        sha256=run.report.generator_sha256,
        method=METHOD,
        seed=settings.seed,
        seen=run.report.seen,
        class_counts=run.report.class_counts,
        shards=run.config.shards,
        sources=read_real_images(run),
        drawn_with={name: str(scale) for name, scale in scales.items() if scale},
        shard_of=shard_of,
        own_shard_of=lambda requests: np.array([shard_of[name] for name in sampler.sources(requests)]),
    )


def sampler_of(run: SinganRun, *, seed: int, start_scale: int) -> SingleImageSampler:
    """Returns the sampler of all images of a run; the weights of each are read when it is its turn."""
    stack = GeneratorStack(run.config, run.report.channels)
    return SingleImageSampler(stack, _images(run), run.report.classes, seed=seed, start_scale=start_scale)


def _images(run: SinganRun) -> list[TrainedImage]:
    return [
        TrainedImage(name=each.name, label=each.label, weights=partial(read_weights, run.folder, each))
        for each in run.report.images
    ]


def _pasting_sampler(run: SinganRun, settings: SamplingSettings) -> tuple[PastingSampler, dict[str, int]]:
    """Returns the sampler of lesions in the skins of a run's images, and the shard of every real image.

    A lesion comes from the shard of its skin, so that the images of a shard are made of that shard alone.

    Raises:
      DataError: if an image of the run has no mask.
    """
    shards = _shards_of(run, settings)
    entries = [entry for entry in shards.manifest.split("train") if entry.index in run.report.trained_on.indices]
    labels = range(len(shards.classes))
    real, shard_of = read_sources(shards, entries, labels, run.config.image_size, outlined_by=MASKS)
    sampler = PastingSampler(
        GeneratorStack(run.config, run.report.channels),
        _images(run),
        real,
        np.array([shard_of[name] for name in real.names.tolist()]),
        run.report.classes,
        seed=settings.seed,
        scale=settings.paste_scale,
    )
    return sampler, shard_of


def _shards_of(run: SinganRun, settings: SamplingSettings) -> Shards:
    """Returns the shards of a run.

    Raises:
      CommandError: if they are others now.
    """
    shards = open_shards(run.config.shards, "shards", settings.cache_dir)
    if shards.manifest.folds_fingerprint != run.report.trained_on.folds_fingerprint:
        raise CommandError(
            f"{shards.folder}: holds shards of other folds now than those that {run.folder} was trained on; train anew"
        )
    return shards


def _without_fold(run: SinganRun, settings: SamplingSettings) -> SinganRun:
    """Returns a run as one of the images that a fold does not hold out.

    Raises:
      CommandError: if none is left, or the shards of the run are others now.
    """
    shards, trained_on = _shards_of(run, settings), run.report.trained_on
    training, _ = split_fold(shards.manifest, settings.num_folds, settings.fold)
    left = {entry.index for entry in training}
    images = tuple(image for image in run.report.images if image.shard in left)
    if not images:
        raise CommandError(
            f"--fold={settings.fold}: holds out all {len(run.report.images)} images that {run.folder} was trained on; "
            "give another, or train on more images"
        )
    seen = [entry for entry in training if entry.index in trained_on.indices]
    report = replace(
        run.report, images=images, trained_on=shards.used(seen), class_counts=shards.class_counts(training)
    )
    return replace(run, report=report)
