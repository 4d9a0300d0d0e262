"""Probabilities brought to say what they mean: temperature scaling, and correction for another mix of classes."""

import numpy as np
import scipy.optimize
import scipy.special

_LEAST = 1e-12  # of a probability, where its logarithm is taken
_HOTTEST = 20.0


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Returns the logarithms of probabilities, finite also of 0: logits that softmax takes back."""
    return np.log(np.maximum(probabilities, _LEAST))


def scale_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Returns the probabilities of logits divided by a temperature. Guo et al. 2017, eq. 9.

    Arguments:
      probabilities: `[N, classes]`.
      temperature: greater than 0; above 1 makes them less sure.
    """
    if temperature == 1:
        return probabilities
    return scipy.special.softmax(log_probabilities(probabilities) / temperature, axis=1)


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature of the least log loss, from 1/20 to 20.

    Arguments:
      probabilities: of images that the classifier was not trained on `[N, classes]`.
      labels: theirs `[N]`.
    """
    logits, rows = log_probabilities(probabilities), np.arange(len(labels))

    def log_loss(log_temperature: float) -> float:
        return -float(np.mean(scipy.special.log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels]))

    widest = np.log(_HOTTEST)
    return float(np.exp(scipy.optimize.minimize_scalar(log_loss, bounds=(-widest, widest), method="bounded").x))


def shift_prior(probabilities: np.ndarray, trained: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Returns the probabilities for another mix of classes than that of the training.

    The odds of two classes are multiplied by the ratio of their new and their old odds. Elkan 2001, theorem 2; Saerens
    et al. 2002, eq. 2.4.

    Arguments:
      probabilities: `[N, classes]`.
      trained: fraction of each class in training `[classes]`; one that is 0 is left as it is.
      real: fraction of each class where the classifier is used `[classes]`.
    """
    shifted = probabilities * np.divide(real, trained, out=np.ones(len(trained)), where=np.asarray(trained) > 0)
    return shifted / shifted.sum(axis=1, keepdims=True)
