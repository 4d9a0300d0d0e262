"""The generators of a study: one for every method, seed and fold, which has not seen the fold."""

import itertools
from collections.abc import Mapping
from pathlib import Path

from melgan.studies.arms import count_added
from pipelines.artefacts import evaluation, synthetic_run
from pipelines.artefacts.mixing import quality_of, require_stored_as_encoded
from pipelines.artefacts.shards import Shards, split_fold
from pipelines.artefacts.study import EVALUATION_SETTINGS, StudyConfig
from pipelines.contract.inputs import absolute, absolute_or_none
from pipelines.contract.workdir import local_folder
from pipelines.studying.generator_kinds import GeneratorKind, kind_of
from pipelines.studying.jobs import CONFIGS, Command, Job, pairs_of
from pipelines.studying.planned_generator import PlannedGenerator
from tfrecords_tools.foundation.settings import path_settings

METRICS = "kid,prdc,accuracy_score,accuracy_reverse,memorisation_pixels"


def plan_generators(config: StudyConfig, shards: Shards, label: int) -> list[PlannedGenerator]:
    """Returns the generators of a study.

    Raises:
      CommandError: for shards that synthetic images cannot be mixed with, or that a translator cannot learn from.
    """
    require_stored_as_encoded(shards)
    seeds = range(config.seed, config.seed + config.generator_seeds)
    found = []
    for method, seed, fold in itertools.product(config.methods, seeds, range(config.num_folds)):
        class_counts = shards.class_counts(split_fold(shards.manifest, config.num_folds, fold)[0])
        of_seed = jobs_folder(config) / method / f"seed{seed}"
        found.append(
            PlannedGenerator(
                method=method,
                seed=seed,
                fold=fold,
                num_folds=config.num_folds,
                label=shards.classes[label],
                count=count_added(class_counts[label], max(config.ratio_values)),
                class_counts=class_counts,
                gan=(of_seed if kind_of(method).serves_all_folds else of_seed / f"fold{fold}") / "gan",
                folder=of_seed / f"fold{fold}",
                features=config.features,
                image_size=shards.manifest.image_size,
                quality=quality_of(shards),
            )
        )
    for generator in found:
        training = job_of(config, generator).commands[0].config
        kind_of(generator.method).require_images(training, shards, generator)
    return found


def jobs_folder(config: StudyConfig) -> Path:
    """Returns the folder of the jobs, absolute."""
    return local_folder(config.jobs_dir or f"{Path(config.workdir)}_jobs", "jobs_dir").absolute()


def job_of(config: StudyConfig, generator: PlannedGenerator) -> Job:
    """Returns the commands of a generator.

    Raises:
      CommandError: if the user gave a setting that the study chooses, or that the command does not have or refuses.
      ConfigError: for a training that is not possible, as one that is too short.
    """
    kind = kind_of(generator.method)
    cache = {"cache_dir": absolute_or_none(config.cache_dir)}
    training = Command(kind.command, _training_settings(config, generator, kind) | cache, kind.given_by)
    kind.require_trainable(training.config, generator.class_counts)  # raises for what is refused
    drawing = cache | {"seed": generator.seed, "quality": generator.quality, "gan": generator.gan}
    drawing |= kind.drawn_with(generator)
    drawn = {"output": generator.synthetic, "label": generator.label, "count": generator.count}
    drawn |= {"reject_copies": kind.rejects_copies(training.config)}
    evaluated = drawing | _evaluation_settings(config, generator, drawing)
    commands = [
        training,
        Command(synthetic_run.COMMAND, drawing | drawn, kind.given_by),
        Command(evaluation.COMMAND, evaluated, EVALUATION_SETTINGS),
    ]
    for command in commands:
        command.config  # noqa: B018  raises for what is refused
    return Job(generator.name, tuple(commands), generator.log)


def _evaluation_settings(
    config: StudyConfig, generator: PlannedGenerator, drawing: Mapping[str, object]
) -> dict[str, object]:
    own = {
        "shards": absolute(config.shards),
        "output": generator.evaluation,
        "features": generator.features,
        "weights": absolute_or_none(config.weights),
        "metrics": METRICS,
        "feature_dir": jobs_folder(config) / "features",
    }
    given = config.evaluation_settings
    return own | pairs_of(given, EVALUATION_SETTINGS, evaluation.COMMAND, [*drawing, *own, "synthetic"])


def _training_settings(config: StudyConfig, generator: PlannedGenerator, kind: GeneratorKind) -> dict[str, object]:
    own = {"shards": absolute(config.shards), kind.folder_setting: generator.gan, **kind.trained_with(generator)}
    given = [each.replace("{fold}", str(generator.fold)) for each in getattr(config, kind.given_by)]
    pairs = pairs_of(given, kind.given_by, kind.command, [*own, "cache_dir"])
    paths = path_settings(CONFIGS[kind.command])
    return own | {name: absolute(value) if name in paths else value for name, value in pairs.items()}
