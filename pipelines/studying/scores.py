"""The scores of every arm: classifiers of all folds and seeds, trained equally long."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from melgan.classifiers.linear import LinearTraining, train_linear
from melgan.studies.arms import CONTROLS, IMITATIONS, REPEATED, Arm, Examples, count_added, with_added
from pipelines.artefacts.study import StudyConfig
from pipelines.studying.fold_features import FoldFeatures


@dataclass
class ArmScores:
    """The scores of an arm, filled fold by fold.

    Attributes:
      scores: larger for the class, of every generator, classifier and image `[G, S, N]`.
      priors: fraction of the class in each training.
      added: images that it adds in each fold.
    """

    scores: np.ndarray
    priors: list[float] = field(default_factory=list)
    added: list[int] = field(default_factory=list)


def new_scores(arms: Sequence[Arm], config: StudyConfig, num_images: int) -> dict[str, ArmScores]:
    """Returns the scores of each arm by its name, none of which is known yet."""
    found = {}
    for arm in arms:
        num_generators = config.generator_seeds if arm.is_synthetic else 1
        found[arm.name] = ArmScores(np.full((num_generators, config.seeds, num_images), np.nan))
    return found


def classifier_seeds(config: StudyConfig, *, is_repeated: bool) -> range:
    """Returns the seeds of the classifiers of an arm: all share them, but the one that shows what others change."""
    first = config.seed + (config.seeds if is_repeated else 0)
    return range(first, first + config.seeds)


def train_fold(
    fold: FoldFeatures,
    arms: Sequence[Arm],
    config: StudyConfig,
    scores: dict[str, ArmScores],
    advance: Callable[[], None],
) -> None:
    """Trains the classifiers of a fold, and enters their scores of its images.

    Arguments:
      fold: its features.
      arms: to train.
      config: of the study.
      scores: of each arm by its name, which are added to.
      advance: called after each arm.
    """
    training = LinearTraining(config.passes * len(fold.real.positive), config.weight_decay)
    for arm in arms:
        own = scores[arm.name]
        for generator, seed in np.ndindex(own.scores.shape[:2]):
            number = classifier_seeds(config, is_repeated=arm.kind == REPEATED)[seed]
            examples = _examples(fold, arm, config.seed + generator, np.random.default_rng([number, 1]))
            classifier = train_linear(examples.features, examples.positive, training, number)
            own.scores[generator, seed, fold.rows] = classifier.decision_function(fold.held_out)
            own.priors.append(examples.prior)
            own.added.append(max(0, len(examples.positive) - len(fold.real.positive)))
        advance()


def _examples(fold: FoldFeatures, arm: Arm, generator: int, rng: np.random.Generator) -> Examples:
    if arm.is_synthetic:
        return with_added(fold.real, fold.synthetic[arm.kind, generator][: count_added(fold.real, arm.ratio)])
    return (CONTROLS | IMITATIONS)[arm.kind](fold.real, arm.ratio, rng)
