"""The design of a study: the class, the generators of every fold and the arms that are compared."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from melgan.studies.arms import Arm, all_arms, count_added
from pipelines.artefacts.shards import Shards, open_shards, split_fold
from pipelines.artefacts.study import NETWORK, StudyConfig
from pipelines.studying.generator_jobs import job_of, plan_generators
from pipelines.studying.jobs import Job
from pipelines.studying.planned_generator import PlannedGenerator
from tfrecords_tools.foundation.errors import CommandError

_LEAST_OF_CLASS = 5  # images of the class in a fold


@dataclass(frozen=True)
class Design:
    """What a study compares.

    Attributes:
      config: of the study.
      shards: of the real images.
      label: number of the class that synthetic images are made of.
      methods: that are compared, of those of the config.
    """

    config: StudyConfig
    shards: Shards
    label: int
    methods: tuple[str, ...]

    @property
    def label_name(self) -> str:
        """The name of the class."""
        return self.shards.classes[self.label]

    @cached_property
    def arms(self) -> list[Arm]:
        """The arms, controls first."""
        is_network = self.config.classifier == NETWORK
        return all_arms(self.methods, self.config.ratio_values, networks=is_network)

    @cached_property
    def generators(self) -> list[PlannedGenerator]:
        """The generators of the methods."""
        return [each for each in plan_generators(self.config, self.shards, self.label) if each.method in self.methods]

    @cached_property
    def generator_jobs(self) -> list[Job]:
        """Their commands; for what it raises see `job_of`."""
        return [job_of(self.config, generator) for generator in self.generators]

    def generators_of(self, fold: int) -> list[PlannedGenerator]:
        """Returns the generators that have not seen a fold."""
        return [generator for generator in self.generators if generator.fold == fold]


def open_design(config: StudyConfig) -> Design:
    """Returns the design that a config asks for, after all settings were found to be right.

    Raises:
      CommandError: for settings that are not, or folds with too few images of a side.
    """
    shards = open_shards(config.shards, "shards", config.cache_dir)
    design = Design(config, shards, _label(config, shards), config.methods)
    for fold in range(config.num_folds):
        _require_enough(design, fold)
        _require_added(design, fold)
    design.generator_jobs  # noqa: B018  raises for settings of theirs that are wrong
    return design


def _label(config: StudyConfig, shards: Shards) -> int:
    if not config.label:
        return int(np.argmin(shards.class_counts(shards.manifest.split("train"))))
    if config.label not in shards.classes:
        raise CommandError(
            f"--label={config.label}: {shards.folder} has {', '.join(shards.classes)}; give one of these"
        )
    return shards.classes.index(config.label)


def _require_enough(design: Design, fold: int) -> None:
    shards, label = design.shards, design.label
    split = split_fold(shards.manifest, design.config.num_folds, fold)
    for what, entries in zip(("to train on", "to evaluate by"), split, strict=True):
        counts = shards.class_counts(entries)
        of_class = {design.label_name: counts[label], "other classes": sum(counts) - counts[label]}
        for name, count in of_class.items():
            if count < _LEAST_OF_CLASS:
                raise CommandError(
                    f"fold {fold} has {count} images of {name} {what}, and {_LEAST_OF_CLASS} are needed; give fewer "
                    "--num_folds, or another --label"
                )


def _require_added(design: Design, fold: int) -> None:
    """Raises CommandError if a ratio is so small that it adds no image."""
    shards, smallest = design.shards, min(design.config.ratio_values)
    training, _ = split_fold(shards.manifest, design.config.num_folds, fold)
    count = shards.class_counts(training)[design.label]
    if not count_added(count, smallest):
        raise CommandError(
            f"--ratios: {smallest:g} of {count} images in fold {fold} is less than one; give larger ones"
        )
