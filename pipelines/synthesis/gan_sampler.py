"""The sampler of a run of train_gan."""

from pipelines.artefacts.generator_run import load_generator
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.synthesis.opened import OpenedSampler


def open_gan(path: str, field: str, settings: SamplingSettings) -> OpenedSampler:
    """Returns the sampler of a GAN run that a setting names.

    Raises:
      CommandError: see `load_generator`.
    """
    generator = load_generator(path, field, settings.checkpoint)
    return OpenedSampler(
        sampler=generator.sampler(settings.seed),
        sha256=generator.sha256,
        method=generator.run.config.method,
        seed=settings.seed,
        seen=generator.seen,
        class_counts=generator.run.report.class_counts,
        shards=generator.run.config.shards,
    )
