"""A linear classifier of features, trained by as many steps as it is told to: a second where a network takes hours."""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import SGDClassifier

_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True)
class LinearTraining:
    """How a linear classifier is trained.

    Attributes:
      num_examples: images that it sees, some again and again; equal for all that are compared.
      weight_decay: of L2 on its weights, on features of deviation 1.
    """

    num_examples: int
    weight_decay: float


@dataclass(frozen=True)
class Scaling:
    """The mean and deviation of features `[F]`."""

    mean: np.ndarray
    deviation: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Returns features `[N, F]` of mean 0 and deviation 1."""
        return (features - self.mean) / self.deviation


def scaling_of(features: np.ndarray) -> Scaling:
    """Returns the scaling of features `[N, F]`, finite."""
    return Scaling(features.mean(axis=0), np.maximum(features.std(axis=0), _LEAST_DEVIATION))


def train_linear(features: np.ndarray, positive: np.ndarray, training: LinearTraining, seed: int) -> SGDClassifier:
    """Returns a logistic regression trained by averaged stochastic gradient descent. Polyak and Juditsky 1992.

    The images are shown in passes over all of them, each in an order of its own, the last pass perhaps not to its end.

    Arguments:
      features: `[N, F]`, scaled.
      positive: which images are of the class `[N]`, bool, both kinds among them.
      training: how long, and how smooth.
      seed: of the order of the images.
    """
    rng = np.random.default_rng(seed)
    classifier = SGDClassifier(
        loss="log_loss", alpha=training.weight_decay, average=True, shuffle=False, random_state=seed
    )
    for start in range(0, training.num_examples, len(features)):
        rows = rng.permutation(len(features))[: training.num_examples - start]
        classifier.partial_fit(features[rows], positive[rows], classes=[False, True])
    return classifier
