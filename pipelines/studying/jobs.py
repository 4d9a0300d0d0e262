"""The jobs of a study: commands one after the other, each in an ordinary folder of its own.

So a study that was killed resumes, and several studies, on several machines, may share their jobs.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import Any

from melgan.gans import methods
from melgan.translation import translators
from pipelines.artefacts import (
    adopted_run,
    classifier_run,
    evaluation,
    generator_run,
    singan_run,
    synthetic_run,
    translator_run,
)
from pipelines.artefacts.adopted_run import AdoptSyntheticConfig
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.artefacts.evaluation import EvaluateGanConfig
from pipelines.artefacts.generator_run import TrainGanConfig
from pipelines.artefacts.singan_run import TrainSinganConfig
from pipelines.artefacts.synthetic_run import SynthesizeConfig
from pipelines.artefacts.translator_run import TrainTranslatorConfig
from pipelines.contract.flags import config_of
from pipelines.contract.launching import run_command
from pipelines.contract.workdir import is_completed, is_made, read_config
from tfrecords_tools.foundation.errors import CommandError, ConfigError
from tfrecords_tools.foundation.locking import is_held

CONFIGS: dict[str, type] = {
    generator_run.COMMAND: TrainGanConfig,
    translator_run.COMMAND: TrainTranslatorConfig,
    singan_run.COMMAND: TrainSinganConfig,
    adopted_run.COMMAND: AdoptSyntheticConfig,
    synthetic_run.COMMAND: SynthesizeConfig,
    evaluation.COMMAND: EvaluateGanConfig,
    classifier_run.COMMAND: TrainClassifierConfig,
}
# How commands record settings of which some follow from others.
_AS_RECORDED: dict[str, Callable[[Any], Any]] = {
    generator_run.COMMAND: methods.resolve,
    translator_run.COMMAND: translators.resolve,
    classifier_run.COMMAND: lambda config: replace(config, weights=config.first_weights),
}
_TRIES = 2
PAUSE_SECONDS = 5.0  # before the second try


@dataclass(frozen=True)
class Command:
    """A command of a job.

    Attributes:
      name: in CONFIGS.
      settings: by name.
      given_by: the setting of the study that some of these come from.
    """

    name: str
    settings: Mapping[str, object]
    given_by: str

    @property
    def folder(self) -> Path:
        """The folder that it completes."""
        return Path(str(self.settings.get("output", self.settings.get("workdir"))))

    @cached_property
    def config(self) -> Any:
        """Its config, as the command records it.

        Raises:
          CommandError: for a setting that the command does not have, or a value that it refuses.
        """
        try:
            config = config_of(CONFIGS[self.name], self.settings)
        except ConfigError as error:
            raise CommandError(f"--{self.given_by}: {error}; see python -m pipelines.{self.name} --help") from error
        return _AS_RECORDED.get(self.name, lambda same: same)(config)

    def is_done(self) -> bool:
        """Returns whether its folder is complete, and as these settings would make it.

        Raises:
          CommandError: if it was made with other settings or inputs.
          DataError: if it is damaged.
        """
        config = self.config
        if not is_completed(self.folder) or not is_made(self.folder, self.name, config):
            return False
        if self.name == generator_run.COMMAND:
            steps = read_config(self.folder, TrainGanConfig).total_steps
            if steps != config.total_steps:  # which train_gan allows to change
                raise CommandError(
                    f"{self.folder}: trained for {steps} steps, not {config.total_steps}; give "
                    f"--{self.given_by}=total_steps={steps}, or another --jobs_dir"
                )
        return True


@dataclass(frozen=True)
class Job:
    """Commands one after the other, each of which needs those before it.

    Attributes:
      name: in messages.
      commands: of the job.
      log: file of what they print.
    """

    name: str
    commands: tuple[Command, ...]
    log: Path

    def commands_left(self) -> list[str]:
        """Returns the names of the commands that are not complete; what is complete is verified, see `is_done`."""
        return [command.name for command in self.commands if not command.is_done()]


@dataclass(frozen=True)
class Outcome:
    """The end of a job: complete, failed for a reason, or left to another that does its work."""

    job: Job
    failure: str = ""
    is_busy: bool = False


def run_job(job: Job, stop: Event | None = None, environment: Mapping[str, str] = MappingProxyType({})) -> Outcome:
    """Runs the commands of a job that are not complete; one that fails is tried twice.

    Arguments:
      job: whose paths are absolute, so that any machine with the same disks can run it.
      stop: once it is set, the command that runs is asked to end, and no other begins.
      environment: environment variables of the commands.
    """
    stop = stop or Event()
    for command in job.commands:
        for tries_left in reversed(range(_TRIES)):
            if stop.is_set() or is_completed(command.folder):
                break
            if is_held(command.folder):
                return Outcome(job, is_busy=True)
            try:
                run_command(command.name, command.settings, log=job.log, stop=stop, environment=environment)
                break
            except CommandError as error:
                if is_held(command.folder):  # another was faster
                    return Outcome(job, is_busy=True)
                if not tries_left:
                    return Outcome(job, failure=str(error))
                stop.wait(PAUSE_SECONDS)
    return Outcome(job)


def pairs_of(given: Iterable[str], given_by: str, command: str, own: Iterable[str]) -> dict[str, str]:
    """Returns settings that a user gave for a command, such as width=0.25.

    Arguments:
      given: name=value each.
      given_by: the setting of the study that they come from.
      command: that they are for.
      own: settings that the study chooses.

    Raises:
      CommandError: if one is given twice, is chosen by the study, or is none of the command.
    """
    pairs: dict[str, str] = {}
    known, chosen = set(CONFIGS[command].__dataclass_fields__), set(own)
    for name, value in (each.split("=", 1) for each in given):
        if name in chosen or name in pairs:
            reason = "given twice" if name in pairs else "chosen by the study"
            raise CommandError(f"--{given_by}: {name} is {reason}; leave it out")
        if name not in known:
            raise CommandError(f"--{given_by}: {command} has no {name}; see python -m pipelines.{command} --help")
        pairs[name] = value
    return pairs
