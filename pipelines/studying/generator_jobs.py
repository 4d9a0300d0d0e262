"""The generators of a study: one for every method, seed and fold, which has not seen the fold.

Each training, set of images and evaluation is a folder of an ordinary command, so that a study which was killed goes
on, and several may share generators.
"""

import itertools
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from absl import flags, logging

from pipelines.artefacts.generator_run import TrainGanConfig
from pipelines.artefacts.shards import Shards, split_fold
from pipelines.artefacts.study import StudyConfig
from pipelines.contract.flags import config_from_flags, define_flags
from pipelines.contract.launching import as_flags, run_command
from pipelines.contract.progress import Progress
from pipelines.contract.workdir import is_completed
from tfrecords_tools.foundation.errors import CommandError

_METRICS = "kid,prdc,accuracy_score,accuracy_reverse,memorisation_pixels"
_TRIES = 2


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
    """

    method: str
    seed: int
    fold: int
    label: str
    count: int
    folder: Path

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
        return self.folder / f"synthetic{self.count}"

    @property
    def evaluation(self) -> Path:
        """The run of evaluate_gan."""
        return self.folder / "evaluation"

    @property
    def is_done(self) -> bool:
        """Whether all three are complete; those that read them verify them."""
        return all(map(is_completed, (self.gan, self.synthetic, self.evaluation)))


def plan_generators(config: StudyConfig, shards: Shards, label: int) -> list[GeneratorJob]:
    """Returns the generators of a study, none of which is trained yet."""
    root, jobs = jobs_folder(config), []
    seeds = range(config.seed, config.seed + config.generator_seeds)
    for method, seed, fold in itertools.product(config.methods, seeds, range(config.num_folds)):
        count = max_added(config, shards, fold, label)
        folder = root / method / f"seed{seed}" / f"fold{fold}"
        jobs.append(GeneratorJob(method, seed, fold, shards.classes[label], count, folder))
    return jobs


def jobs_folder(config: StudyConfig) -> Path:
    """Returns the folder of the generators."""
    return Path(config.jobs_dir or Path(config.workdir) / "jobs")


def max_added(config: StudyConfig, shards: Shards, fold: int, label: int) -> int:
    """Returns how many images of the class the largest ratio needs in a fold."""
    training, _ = split_fold(shards.manifest, config.num_folds, fold)
    return math.ceil(max(config.ratio_values) * shards.class_counts(training)[label])


def gan_config(config: StudyConfig, job: GeneratorJob) -> TrainGanConfig:
    """Returns the settings of the training of a generator.

    Raises:
      CommandError: for a setting that train_gan does not have, or that the study chooses.
      ConfigError: for a value that it refuses.
    """
    values = flags.FlagValues()
    define_flags(TrainGanConfig, values)
    try:
        values(["", *as_flags(_gan_settings(config, job))], known_only=False)
    except flags.Error as error:
        raise CommandError(f"--gan_settings: {error}; see python -m pipelines.train_gan --help") from error
    return config_from_flags(TrainGanConfig, values)


def run_generators(config: StudyConfig, jobs: list[GeneratorJob]) -> list[str]:
    """Trains what is not trained yet, draws and evaluates; a job that fails is tried twice, then left.

    Returns:
      The names of the jobs that failed.
    """
    waiting = [job for job in jobs if not job.is_done]
    progress = Progress("generators", len(jobs), "jobs", start=len(jobs) - len(waiting))
    failed: list[str] = []
    with ThreadPoolExecutor(config.jobs) as pool:
        futures = {pool.submit(_run, config, job): job for job in waiting}
        for done, future in enumerate(as_completed(futures), start=len(jobs) - len(waiting) + 1):
            error = future.exception()
            if isinstance(error, CommandError):
                failed.append(futures[future].name)
                logging.warning("%s failed %d times: %s", futures[future].name, _TRIES, error)
            elif error is not None:
                raise error
            progress.update(done, futures[future].name)
    return failed


def _run(config: StudyConfig, job: GeneratorJob) -> None:
    for command, settings in _commands(config, job):
        for last in (False, True):
            try:
                run_command(command, settings, log=job.folder / "log.txt")
                break
            except CommandError:
                if last:
                    raise


def _commands(config: StudyConfig, job: GeneratorJob) -> Iterator[tuple[str, dict[str, object]]]:
    yield "train_gan", _gan_settings(config, job)
    shared = {"seed": job.seed, "cache_dir": config.cache_dir}
    yield (
        "synthesize",
        shared
        | {"gan": job.gan, "output": job.synthetic, "label": job.label, "count": job.count, "reject_copies": True},
    )
    yield (
        "evaluate_gan",
        shared
        | {
            "gan": job.gan,
            "shards": config.shards,
            "output": job.evaluation,
            "features": config.features,
            "weights": config.weights,
            "metrics": _METRICS,
            "feature_dir": jobs_folder(config) / "features",
        },
    )


def _gan_settings(config: StudyConfig, job: GeneratorJob) -> dict[str, object]:
    own = {
        "shards": config.shards,
        "workdir": job.gan,
        "method": job.method,
        "num_folds": config.num_folds,
        "fold": job.fold,
        "seed": job.seed,
        "cache_dir": config.cache_dir,
    }
    given = dict(each.split("=", 1) for each in config.gan_settings)
    for name in set(given) & set(own):
        raise CommandError(f"--gan_settings: {name} is chosen by the study; leave it out")
    return own | given
