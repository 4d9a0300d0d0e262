"""The scores that the classifiers of an arm give to every image, and the seeds of these."""

from dataclasses import dataclass, field

import numpy as np

from melgan.studies.arms import Arm, Selection
from pipelines.artefacts.study import StudyConfig
from pipelines.studying.design import Design
from pipelines.studying.real_images import RealImages


@dataclass(frozen=True)
class Training:
    """A training of a classifier: arm, seed of the generator, own seed, and the fold that it holds out."""

    arm: Arm
    generator: int
    seed: int
    fold: int


@dataclass
class ArmScores:
    """The scores of an arm, entered training by training.

    Attributes:
      generators, seeds: of its trainings.
      scores: larger for the class, of every generator, classifier and image `[G, S, N]`; NaN until they are entered.
      priors: fraction of the class in each training.
      added: images that each training adds to the real ones.
    """

    generators: range
    seeds: range
    scores: np.ndarray
    priors: list[float] = field(default_factory=list)
    added: list[int] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether all trainings were entered."""
        return not np.isnan(self.scores).any()

    def enter(self, training: Training, scores: np.ndarray, selection: Selection, images: RealImages) -> None:
        """Enters the scores `[M]` of the images that the fold of a training holds out, and what it learned from."""
        place = self.generators.index(training.generator), self.seeds.index(training.seed)
        self.scores[(*place, images.held_out_rows(training.fold))] = scores
        positive = images.training_images(training.fold).positive
        self.priors.append(selection.prior(positive))
        self.added.append(max(0, selection.num_images - len(positive)))


def new_scores(design: Design, images: RealImages) -> dict[str, ArmScores]:
    """Returns the scores of each arm by its name, none of which is known yet; arms that share trainings share them."""
    own = {arm.name: _unknown(arm, design.config, len(images.positive)) for arm in design.arms}
    return {arm.name: own[arm.trained_as] for arm in design.arms}


def _unknown(arm: Arm, config: StudyConfig, num_images: int) -> ArmScores:
    generators, seeds = generator_seeds(config, arm), classifier_seeds(config, arm)
    return ArmScores(generators, seeds, np.full((len(generators), len(seeds), num_images), np.nan))


def generator_seeds(config: StudyConfig, arm: Arm) -> range:
    """Returns the seeds of the generators of an arm; one that stands for none, where it has none."""
    return range(config.seed, config.seed + (config.generator_seeds if arm.is_synthetic else 1))


def classifier_seeds(config: StudyConfig, arm: Arm) -> range:
    """Returns the seeds of the classifiers of an arm, which most arms share."""
    first = config.seed + (config.seeds if arm.has_other_seeds else 0)
    return range(first, first + config.seeds)


def trainings_of(design: Design, fold: int) -> list[Training]:
    """Returns the trainings of a fold."""
    config = design.config
    return [
        Training(arm, generator, seed, fold)
        for arm in design.arms
        if arm.trained_as == arm.name
        for generator in generator_seeds(config, arm)
        for seed in classifier_seeds(config, arm)
    ]


def all_trainings(design: Design) -> list[Training]:
    """Returns the trainings of all folds."""
    return [training for fold in range(design.config.num_folds) for training in trainings_of(design, fold)]


def select(training: Training, images: RealImages) -> Selection:
    """Returns the images that a training learns from, drawn by its seed."""
    return training.arm.select(images.training_images(training.fold), np.random.default_rng([training.seed, 1]))
