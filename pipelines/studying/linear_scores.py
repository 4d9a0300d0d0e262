"""The cheap way to the scores of every arm: linear classifiers on features of images, all trained equally long."""

from melgan.classifiers.linear import LinearTraining, train_linear
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.contract.progress import Progress
from pipelines.studying.design import Design
from pipelines.studying.fold_features import RealFeatures, fold_features
from pipelines.studying.scores import ArmScores, all_trainings, new_scores, select, trainings_of


def linear_scores(design: Design, real: RealFeatures, store: FeatureStore) -> dict[str, ArmScores]:
    """Returns the scores of linear classifiers.

    Arguments:
      design: of the study, whose generators are complete.
      real: features of all real images.
      store: of those of synthetic ones.

    Returns:
      By the name of the arm.
    """
    config, images, scores = design.config, real.images, new_scores(design, real.images)
    progress, done = Progress("classifiers", len(all_trainings(design)), "classifiers"), 0
    for fold in range(config.num_folds):
        found = fold_features(design, real, fold, store)
        length = LinearTraining(config.passes * len(found.features), config.weight_decay)
        for training in trainings_of(design, fold):
            selection = select(training, images)
            features, positive = found.of(selection, (training.arm.kind, training.generator))
            classifier = train_linear(features, positive, length, training.seed)
            predicted = classifier.decision_function(found.held_out)
            scores[training.arm.name].enter(training, predicted, selection, images)
            progress.update(done := done + 1)
    return scores
