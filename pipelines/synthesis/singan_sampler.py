"""The sampler of a run of train_singan: the generators of every image that it was trained on."""

from functools import partial

import numpy as np

from melgan.single_image.sampler import SingleImageSampler, TrainedImage
from melgan.single_image.stack import GeneratorStack
from pipelines.artefacts.singan_run import METHOD, SinganRun, open_singan_run, read_real_images, read_weights
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.synthesis.opened import OpenedSampler


def open_singan(path: str, field: str, settings: SamplingSettings) -> OpenedSampler:
    """Returns the sampler of a SinGAN run that a setting names.

    Raises:
      CommandError: if the run is not complete or damaged.
      ConfigError: for a scale to start from that there is not.
    """
    run = open_singan_run(path, field)
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


def sampler_of(run: SinganRun, *, seed: int, start_scale: int) -> SingleImageSampler:
    """Returns the sampler of all images of a run; the weights of each are read when it is its turn."""
    images = [
        TrainedImage(name=each.name, label=each.label, weights=partial(read_weights, run.folder, each))
        for each in run.report.images
    ]
    stack = GeneratorStack(run.config, run.report.channels)
    return SingleImageSampler(stack, images, run.report.classes, seed=seed, start_scale=start_scale)
