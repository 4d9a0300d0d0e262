"""Samplers by the command that trained them: SAMPLERS table."""

from collections.abc import Callable
from dataclasses import dataclass

from melgan.sampling import Sampler
from pipelines.artefacts import generator_run
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.contract.workdir import read_facts, require_completed
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.provenance import SeenShards


@dataclass(frozen=True, kw_only=True)
class OpenedSampler:
    """The sampler of a completed run, and what is recorded of its images.

    Attributes:
      sampler: draws them.
      sha256: of its weights.
      method: that trained it.
      seed: of its images.
      seen: the real shards that it has seen.
      class_counts: training images of each class.
      shards: the folder of the shards of its training, as its run names it.
    """

    sampler: Sampler
    sha256: str
    method: str
    seed: int
    seen: SeenShards
    class_counts: tuple[int, ...]
    shards: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes."""
        return self.sampler.classes


def open_sampler(path: str, field: str, settings: SamplingSettings) -> OpenedSampler:
    """Returns the sampler of a completed run.

    Arguments:
      path: of the run.
      field: the setting that names it.
      settings: which checkpoint of the run, and the seed.

    Raises:
      CommandError: if the run is not complete, was made by a command that trains no sampler, or is damaged.
    """
    command = read_facts(require_completed(path, field)).command
    if command not in SAMPLERS:
        raise CommandError(f"--{field}={path}: made by {command}, which trains no generator; give a run of {_known()}")
    return SAMPLERS[command](path, field, settings)


def _open_gan(path: str, field: str, settings: SamplingSettings) -> OpenedSampler:
    generator = generator_run.load_generator(path, field, settings.checkpoint)
    return OpenedSampler(
        sampler=generator.sampler(settings.seed),
        sha256=generator.sha256,
        method=generator.run.config.method,
        seed=settings.seed,
        seen=generator.seen,
        class_counts=generator.run.report.class_counts,
        shards=generator.run.config.shards,
    )


def _known() -> str:
    return ", ".join(SAMPLERS)


SAMPLERS: dict[str, Callable[[str, str, SamplingSettings], OpenedSampler]] = {generator_run.COMMAND: _open_gan}
