"""The generators of a study: one for every method, seed and fold, which has not seen the fold."""

import itertools
from dataclasses import dataclass
from pathlib import Path

from melgan.gans.combinations import require_trainable
from melgan.studies.arms import count_added
from melgan.translation.mask_edits import EDITS, TRANSPLANT
from melgan.translation.translators import TRANSLATORS, takes_masks
from pipelines.artefacts import evaluation, generator_run, synthetic_run, translator_run
from pipelines.artefacts.mixing import quality_of, require_stored_as_encoded
from pipelines.artefacts.shards import Shards, split_fold
from pipelines.artefacts.study import StudyConfig
from pipelines.contract.inputs import absolute, absolute_or_none
from pipelines.contract.workdir import is_completed, local_folder
from pipelines.studying.jobs import Command, Job, pairs_of
from pipelines.training.translation_data import classes_of, open_fold
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.texts import as_file_name

METRICS = "kid,prdc,accuracy_score,accuracy_reverse,memorisation_pixels"


@dataclass(frozen=True)
class PlannedGenerator:
    """A generator of a study: its training, images and evaluation.

    Attributes:
      method: in GENERATORS.
      seed: of its training and images.
      fold: that it does not see.
      label: the class of its images.
      count: images of the class to draw.
      class_counts: training images of each class.
      folder: of its three commands.
      features: of its evaluation.
      image_size, quality: sides in pixels and JPEG quality of its images, those of the real ones.
    """

    method: str
    seed: int
    fold: int
    label: str
    count: int
    class_counts: tuple[int, ...]
    folder: Path
    features: str
    image_size: int
    quality: int

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.method}, seed {self.seed}, fold {self.fold}"

    @property
    def is_translator(self) -> bool:
        """Whether it makes images of the class from others, and not from noise."""
        return self.method in TRANSLATORS

    @property
    def draws_from_masks(self) -> bool:
        """Whether it draws from masks, which can be edited."""
        return self.is_translator and TRANSLATORS[self.method].is_paired

    @property
    def gan(self) -> Path:
        """The run of train_gan or train_translator."""
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
    def is_complete(self) -> bool:
        """Whether all three are complete."""
        return all(map(is_completed, (self.gan, self.synthetic, self.evaluation)))

    @property
    def log(self) -> Path:
        """What its commands print."""
        return self.folder / "log.txt"


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
        found.append(
            PlannedGenerator(
                method=method,
                seed=seed,
                fold=fold,
                label=shards.classes[label],
                count=count_added(class_counts[label], max(config.ratio_values)),
                class_counts=class_counts,
                folder=jobs_folder(config) / method / f"seed{seed}" / f"fold{fold}",
                features=config.features,
                image_size=shards.manifest.image_size,
                quality=quality_of(shards),
            )
        )
    for generator in found:
        if generator.is_translator:
            _require_sources(config, shards, generator)
    return found


def _require_sources(config: StudyConfig, shards: Shards, generator: PlannedGenerator) -> None:
    """Raises CommandError if a translator has too few images to learn from, or to make others from."""
    training = job_of(config, generator).commands[0].config
    data = open_fold(training, shards)
    sources, _ = classes_of(training, data)
    counts = data.images.masked_counts if takes_masks(training) else data.images.class_counts
    available = sum(counts[label] for label in sources)
    if generator.count > available and not generator.draws_from_masks:
        raise CommandError(
            f"--ratios: {generator.count} images of {generator.label} are wanted of {generator.name}, which makes one "
            f"of each of its {available} sources; give smaller ratios"
        )


def jobs_folder(config: StudyConfig) -> Path:
    """Returns the folder of the jobs, absolute."""
    return local_folder(config.jobs_dir or f"{Path(config.workdir)}_jobs", "jobs_dir").absolute()


def job_of(config: StudyConfig, generator: PlannedGenerator) -> Job:
    """Returns the commands of a generator.

    Raises:
      CommandError: if the user gave a setting that the study chooses, or that the command does not have or refuses.
      ConfigError: for a training that is not possible, as one that is too short.
    """
    shared = {"seed": generator.seed, "cache_dir": absolute_or_none(config.cache_dir)}
    edits = [*EDITS, TRANSPLANT] if generator.draws_from_masks else []
    drawing = shared | {"quality": generator.quality, "gan": generator.gan, "edits": ",".join(edits)}
    training, given_by = _training(generator)
    drawn = {"output": generator.synthetic, "label": generator.label, "count": generator.count}
    # An image made from a real one lies near to it: how near is recorded, and none is drawn in its place.
    drawn |= {"reject_copies": not generator.is_translator}
    settings = {
        training: _training_settings(config, generator, training, given_by) | shared,
        synthetic_run.COMMAND: drawing | drawn,
        evaluation.COMMAND: drawing
        | {
            "shards": absolute(config.shards),
            "output": generator.evaluation,
            "features": generator.features,
            "weights": absolute_or_none(config.weights),
            "metrics": METRICS,
            "feature_dir": jobs_folder(config) / "features",
        },
    }
    commands = tuple(Command(name, own, given_by) for name, own in settings.items())
    own, *_ = (command.config for command in commands)  # raises for what is refused
    if not generator.is_translator:
        require_trainable(own, generator.class_counts, own.total_steps)
    return Job(generator.name, commands, generator.log)


def _training(generator: PlannedGenerator) -> tuple[str, str]:
    """Returns the command that trains a generator, and the setting of the study that its settings come from."""
    if generator.is_translator:
        return translator_run.COMMAND, "translator_settings"
    return generator_run.COMMAND, "gan_settings"


def _training_settings(
    config: StudyConfig, generator: PlannedGenerator, command: str, given_by: str
) -> dict[str, object]:
    own = {"shards": absolute(config.shards), "workdir": generator.gan, "method": generator.method}
    own |= {"num_folds": config.num_folds, "fold": generator.fold, "image_size": generator.image_size}
    if generator.is_translator:
        own |= {"target_class": generator.label}
    return own | pairs_of(getattr(config, given_by), given_by, command, [*own, "seed", "cache_dir"])
