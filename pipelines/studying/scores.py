"""The scores of every arm: classifiers of all folds and seeds, trained equally long."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from melgan.classifiers.linear import LinearTraining, train_linear
from melgan.studies.arms import Arm, Examples, count_added, with_added
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
    shapes = {arm.name: (len(generator_seeds(config, arm)), config.seeds, num_images) for arm in arms}
    return {name: ArmScores(np.full(shape, np.nan)) for name, shape in shapes.items()}


def generator_seeds(config: StudyConfig, arm: Arm) -> range:
    """Returns the seeds of the generators of an arm; one that stands for none, where it has none."""
    return range(config.seed, config.seed + (config.generator_seeds if arm.is_synthetic else 1))


def classifier_seeds(config: StudyConfig, arm: Arm) -> range:
    """Returns the seeds of the classifiers of an arm, which most arms share."""
    first = config.seed + (config.seeds if arm.has_other_seeds else 0)
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
        for (row, generator), (column, seed) in itertools.product(
            enumerate(generator_seeds(config, arm)), enumerate(classifier_seeds(config, arm))
        ):
            examples = _examples(fold, arm, generator, np.random.default_rng([seed, 1]))
            classifier = train_linear(examples.features, examples.positive, training, seed)
            own.scores[row, column, fold.rows] = classifier.decision_function(fold.held_out)
            own.priors.append(examples.prior)
            own.added.append(max(0, len(examples.positive) - len(fold.real.positive)))
        advance()


def _examples(fold: FoldFeatures, arm: Arm, generator: int, rng: np.random.Generator) -> Examples:
    if arm.control is not None:
        return arm.control.make(fold.real, arm.ratio, rng)
    drawn = fold.synthetic[arm.kind, generator]
    return with_added(fold.real, drawn[: count_added(len(fold.real.of_class), arm.ratio)])
