"""Samplers by the command that trained them: SAMPLERS table."""

from collections.abc import Callable
from dataclasses import dataclass, fields

from pipelines.artefacts import adopted_run, generator_run, singan_run, translator_run
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.contract.workdir import read_facts, require_completed
from pipelines.synthesis.adopted_sampler import open_adopted
from pipelines.synthesis.gan_sampler import open_gan
from pipelines.synthesis.opened import OpenedSampler
from pipelines.synthesis.singan_sampler import open_singan
from pipelines.synthesis.translator_sampler import open_translator
from tfrecords_tools.foundation.errors import CommandError


@dataclass(frozen=True)
class SamplerKind:
    """The samplers of a command: how one is opened, and which settings mean something to it, and not to all."""

    open: Callable[[str, str, SamplingSettings], OpenedSampler]
    settings: tuple[str, ...]


SAMPLERS: dict[str, SamplerKind] = {
    generator_run.COMMAND: SamplerKind(open_gan, ("checkpoint",)),
    translator_run.COMMAND: SamplerKind(open_translator, ("sources", "edits", "edit_strength")),
    singan_run.COMMAND: SamplerKind(open_singan, ("start_scale", "paste_scale", "num_folds", "fold")),
    adopted_run.COMMAND: SamplerKind(open_adopted, ()),
}


def open_sampler(path: str, field: str, settings: SamplingSettings) -> OpenedSampler:
    """Returns the sampler of a completed run.

    Arguments:
      path: of the run.
      field: the setting that names it.
      settings: which checkpoint of the run, the seed, and what images are made from.

    Raises:
      CommandError: if the run is not complete, was made by a command that trains no sampler, or is damaged, or for a
        setting that such a sampler has no use for.
    """
    command = read_facts(require_completed(path, field)).command
    if command not in SAMPLERS:
        known = ", ".join(SAMPLERS)
        raise CommandError(f"--{field}={path}: made by {command}, which trains no generator; give a run of {known}")
    kind = SAMPLERS[command]
    defaults = {each.name: each.default for each in fields(SamplingSettings)}
    for name in sorted({name for each in SAMPLERS.values() for name in each.settings} - set(kind.settings)):
        if getattr(settings, name) != defaults[name]:
            raise CommandError(
                f"--{name}={getattr(settings, name)}: means nothing to a run of {command}, such as {path}; leave it out"
            )
    return kind.open(path, field, settings)
