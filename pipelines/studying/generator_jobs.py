"""The generators of a study: one for every method, seed and fold, which has not seen the fold.

Each training, set of images and evaluation is a folder of an ordinary command, so that a study which was killed goes
on, and several may share generators.
"""

import itertools
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from absl import flags, logging

from melgan.gans.methods import resolve
from melgan.studies.arms import count_added
from pipelines.artefacts import evaluation, generator_run, synthetic_run
from pipelines.artefacts.evaluation import EvaluateGanConfig
from pipelines.artefacts.generator_run import TrainGanConfig
from pipelines.artefacts.mixing import quality_of, require_stored_as_encoded
from pipelines.artefacts.shards import Shards, split_fold
from pipelines.artefacts.study import StudyConfig
from pipelines.artefacts.synthetic_run import SynthesizeConfig
from pipelines.contract.flags import config_from_flags, define_flags
from pipelines.contract.launching import as_flags, run_command
from pipelines.contract.progress import Progress
from pipelines.contract.workdir import is_completed, local_folder, open_workdir, read_config
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.texts import as_file_name

CONFIGS: dict[str, type] = {
    generator_run.COMMAND: TrainGanConfig,
    synthetic_run.COMMAND: SynthesizeConfig,
    evaluation.COMMAND: EvaluateGanConfig,
}
METRICS = "kid,prdc,accuracy_score,accuracy_reverse,memorisation_pixels"
_TRIES = 2
PAUSE_SECONDS = 20.0  # before the second try


@dataclass(frozen=True)
class GeneratorJob:
    """The training, images and evaluation of one generator.

    Attributes:
      method: in METHODS.
      seed: of its training and images.
      fold: that it does not see.
      label: the class of its images.
      count: images of the class to draw.
      folder: of its three commands.
      features: of its evaluation.
      image_size, quality: sides in pixels and JPEG quality of its images, those of the real ones.
    """

    method: str
    seed: int
    fold: int
    label: str
    count: int
    folder: Path
    features: str
    image_size: int
    quality: int

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.method}, seed {self.seed}, fold {self.fold}"

    @property
    def gan(self) -> Path:
        """The run of train_gan."""
        return self.folder / "gan"

    @property
    def synthetic(self) -> Path:
        """The synthetic shards."""
        return self.folder / f"synthetic_{as_file_name(self.label)}_{self.count}"

    @property
    def evaluation(self) -> Path:
        """The run of evaluate_gan."""
        return self.folder / f"evaluation_{self.features}"

    @property
    def log(self) -> Path:
        """What its commands print."""
        return self.folder / "log.txt"


def plan_generators(config: StudyConfig, shards: Shards, label: int) -> list[GeneratorJob]:
    """Returns the generators of a study, after their settings were found to be right.

    Raises:
      CommandError: for settings that are not, or shards that synthetic images cannot be mixed with.
      ConfigError: for a value that train_gan refuses.
    """
    require_stored_as_encoded(shards)
    jobs = []
    seeds = range(config.seed, config.seed + config.generator_seeds)
    for method, seed, fold in itertools.product(config.methods, seeds, range(config.num_folds)):
        training, _ = split_fold(shards.manifest, config.num_folds, fold)
        jobs.append(
            GeneratorJob(
                method=method,
                seed=seed,
                fold=fold,
                label=shards.classes[label],
                count=count_added(shards.class_counts(training)[label], max(config.ratio_values)),
                folder=jobs_folder(config) / method / f"seed{seed}" / f"fold{fold}",
                features=config.features,
                image_size=shards.manifest.image_size,
                quality=quality_of(shards),
            )
        )
        for command, settings in settings_of(config, jobs[-1]).items():
            config_of(command, settings)
    return jobs


def jobs_folder(config: StudyConfig) -> Path:
    """Returns the folder of the generators."""
    return local_folder(config.jobs_dir or f"{Path(config.workdir)}_jobs", "jobs_dir")


def settings_of(config: StudyConfig, job: GeneratorJob) -> dict[str, dict[str, object]]:
    """Returns the settings of the three commands of a job, in their order.

    Raises:
      CommandError: if the user gave one that the study chooses.
    """
    shared = {"seed": job.seed, "cache_dir": config.cache_dir}
    drawing = shared | {"quality": job.quality}
    return {
        generator_run.COMMAND: _gan_settings(config, job) | shared,
        synthetic_run.COMMAND: drawing
        | {"gan": job.gan, "output": job.synthetic, "label": job.label, "count": job.count, "reject_copies": True},
        evaluation.COMMAND: drawing
        | {
            "gan": job.gan,
            "shards": config.shards,
            "output": job.evaluation,
            "features": job.features,
            "weights": config.weights,
            "metrics": METRICS,
            "feature_dir": jobs_folder(config) / "features",
        },
    }


def _gan_settings(config: StudyConfig, job: GeneratorJob) -> dict[str, object]:
    own = {"shards": config.shards, "workdir": job.gan, "method": job.method, "num_folds": config.num_folds}
    own |= {"fold": job.fold, "image_size": job.image_size}
    pairs = [each.split("=", 1) for each in config.gan_settings]
    for name, count in Counter(name for name, _ in pairs).items():
        if name in {*own, "seed", "cache_dir"} or count > 1:
            reason = "given twice" if count > 1 else "chosen by the study"
            raise CommandError(f"--gan_settings: {name} is {reason}; leave it out")
        if name not in {each.name for each in fields(TrainGanConfig)}:
            raise CommandError(f"--gan_settings: train_gan has no {name}; see python -m pipelines.train_gan --help")
    return own | dict(pairs)


def config_of(command: str, settings: Mapping[str, object]) -> Any:
    """Returns the config of a command of a job.

    Raises:
      CommandError: for a setting that the command does not have.
      ConfigError: for a value that it refuses.
    """
    values = flags.FlagValues()
    define_flags(CONFIGS[command], values)
    try:
        values(["", *as_flags(settings)])
    except flags.Error as error:
        raise CommandError(f"--gan_settings: {error}; see python -m pipelines.{command} --help") from error
    config = config_from_flags(CONFIGS[command], values)
    return resolve(config) if command == generator_run.COMMAND else config


def run_generators(config: StudyConfig, jobs: list[GeneratorJob]) -> list[str]:
    """Trains what is not trained yet, draws and evaluates; a command that fails is tried twice, then left.

    Returns:
      The names of the jobs that failed.

    Raises:
      CommandError: if a folder of a job is complete, but with other settings or inputs.
    """
    waiting = [job for job in jobs if commands_left(config, job)]
    num_done = len(jobs) - len(waiting)
    progress = Progress("generators", len(jobs), "jobs", start=num_done)
    failed: list[str] = []
    stop = threading.Event()
    with ThreadPoolExecutor(config.jobs) as pool:
        futures = {pool.submit(_run, config, job, stop): job for job in waiting}
        try:
            for done, future in enumerate(as_completed(futures), start=num_done + 1):
                error = future.exception()
                if isinstance(error, CommandError):
                    failed.append(futures[future].name)
                    logging.warning("%s failed: %s", futures[future].name, error)
                elif error is not None:
                    raise error
                progress.update(done, futures[future].name)
        except BaseException:  # Ctrl-C among them
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def commands_left(config: StudyConfig, job: GeneratorJob) -> list[str]:
    """Returns the commands of a job that are not complete; what is complete is verified.

    Raises:
      CommandError: if a folder is complete, but with other settings or inputs.
    """
    return [command for command, settings in settings_of(config, job).items() if not _is_done(command, settings)]


def _run(config: StudyConfig, job: GeneratorJob, stop: threading.Event) -> None:
    """Runs the commands of a job one after the other; after one that was made anew, what is made from it is too."""
    for command, settings in settings_of(config, job).items():
        tries_left = _TRIES
        while not stop.is_set() and not _is_done(command, settings):
            tries_left -= 1
            try:
                run_command(command, settings, log=job.log, stop=stop)
                break
            except CommandError:
                if not tries_left:
                    raise
                stop.wait(PAUSE_SECONDS)  # a process of before may still be ending there


def _is_done(command: str, settings: Mapping[str, object]) -> bool:
    config = config_of(command, settings)
    folder = Path(str(settings.get("output", settings.get("workdir"))))
    if not is_completed(folder):
        return False
    open_workdir(folder, command, config)  # raises if it was made otherwise
    if command == generator_run.COMMAND:
        steps = read_config(folder, TrainGanConfig).total_steps
        if steps != config.total_steps:  # which train_gan allows to change
            raise CommandError(
                f"{folder}: trained for {steps} steps, not {config.total_steps}; give "
                f"--gan_settings=total_steps={steps}, or another --jobs_dir"
            )
    return True
