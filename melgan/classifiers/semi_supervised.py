"""Learning from images without labels, by what the classifier guesses of them; SEMI_SUPERVISED table.

Guesses are probabilities of the classes, the mean over several augmentations of an image, made without dropout and by
moving statistics; no gradient goes through them. They are aligned, sharpened, and then are targets of augmentations of
the image. Labelled and unlabelled images go through the network together, so that the statistics of its normalisation
move once a step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from melgan.classifiers.mixing import is_inside
from melgan.images import scale_contrast, scale_saturation
from melgan.training.randomness import Draws

_LEAST = 1e-6  # added to probabilities that are divided by
_CUTOUT = 0.375  # side of the square that is cut out, as a fraction of the image's

# (logits [N, C], targets [N, C]) -> losses [N]
Consistency = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def squared_errors(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Returns squared errors of probabilities, mean over the classes `[N]`. Berthelot et al. 2019, eq. 4."""
    return tf.reduce_mean(tf.square(tf.nn.softmax(logits) - targets), axis=1)


def cross_entropies(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Returns softmax cross-entropies `[N]`."""
    return tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits)


@dataclass(frozen=True, kw_only=True)
class SemiSupervised:
    """A way to learn from images without labels.

    Attributes:
      consistency: the loss between the guess for an image and what the network says of its augmentations.
      lambda_u: the weight of that loss, of the published implementations.
      lambda_u_is_for: the number of classes which that weight is for, where the loss is a mean over classes; 0: any.
      num_guesses: augmentations that a guess is the mean of.
      temperature: by which guesses are sharpened; 1: not; 0: the most probable class takes all.
      confidence: what the probability of a guess must exceed to count.
      mixes: whether all images of a step are mixed in pairs, labelled or not.
      is_strong: whether images are augmented strongly, other than the views that are guessed.
      alignment: of guesses with the mix of classes, one of `ALIGNMENTS`.
      rampup_fraction: of the steps in which the weight rises from 0.
    """

    consistency: Consistency
    lambda_u: float
    lambda_u_is_for: int = 0
    num_guesses: int = 1
    temperature: float = 1.0
    confidence: float = 0.0
    mixes: bool = False
    is_strong: bool = False
    alignment: str = "none"
    rampup_fraction: float = 0.0

    @property
    def num_trained(self) -> int:
        """How many augmentations of an image are trained on: those that are guessed, or a strong one."""
        return 1 if self.is_strong else self.num_guesses

    def weight(self, num_classes: int) -> float:
        """Returns its weight for a number of classes.

        A mean over C classes of errors that sum to as much, whatever C, shrinks as 1 / C: 75 of ten classes is 15 of
        two.
        """
        return self.lambda_u * num_classes / self.lambda_u_is_for if self.lambda_u_is_for else self.lambda_u


ALIGNMENTS = ("none", "labels", "uniform")

SEMI_SUPERVISED: dict[str, SemiSupervised | None] = {
    "none": None,
    # Berthelot et al. 2019, "MixMatch", section 3 and table of hyperparameters for CIFAR-10.
    "mixmatch": SemiSupervised(
        consistency=squared_errors,
        lambda_u=75.0,
        lambda_u_is_for=10,
        num_guesses=2,
        temperature=0.5,
        mixes=True,
        rampup_fraction=0.3,
    ),
    # Berthelot et al. 2020, "ReMixMatch", without the rotations that are to be told, and without CTAugment.
    "remixmatch": SemiSupervised(
        consistency=cross_entropies,
        lambda_u=1.5,
        num_guesses=1,
        temperature=0.5,
        mixes=True,
        is_strong=True,
        alignment="labels",
        rampup_fraction=0.3,
    ),
    # Sohn et al. 2020, "FixMatch", eq. 4.
    "fixmatch": SemiSupervised(
        consistency=cross_entropies, lambda_u=1.0, temperature=0.0, confidence=0.95, is_strong=True
    ),
    # Lee 2013, "Pseudo-Label", eq. 15 and 16, of confident guesses alone.
    "pseudo_label": SemiSupervised(
        consistency=cross_entropies, lambda_u=1.0, temperature=0.0, confidence=0.95, rampup_fraction=0.3
    ),
}


def sharpen(probabilities: tf.Tensor, temperature: float) -> tf.Tensor:
    """Returns probabilities `[N, C]` nearer to the most probable class. Berthelot et al. 2019, eq. 7.

    Arguments:
      probabilities: `[N, C]`.
      temperature: 1 leaves them; 0 gives all to the most probable class.
    """
    if temperature == 0:
        return tf.one_hot(tf.argmax(probabilities, axis=1), probabilities.shape[1], dtype=probabilities.dtype)
    logits = tf.math.log(tf.maximum(probabilities, tf.constant(1e-30, probabilities.dtype)))
    return tf.nn.softmax(logits / temperature)


def align(probabilities: tf.Tensor, wanted: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
    """Returns guesses `[N, C]` scaled to the mix of classes that is wanted. Berthelot et al. 2020, section 3.1.

    Arguments:
      probabilities: the guesses `[N, C]`.
      wanted: fractions of the classes, `[C]` or of each image `[N, C]`.
      predicted: the mean of the guesses until now, likewise.
    """
    scaled = probabilities * (wanted + _LEAST) / (predicted + _LEAST)
    return scaled / tf.reduce_sum(scaled, axis=1, keepdims=True)


def ramp_up(step: tf.Tensor, total_steps: int, fraction: float) -> tf.Tensor:
    """Returns what rises from 0 at step 0 to 1 at a fraction of all steps, and stays there."""
    if not fraction:
        return tf.ones([])
    return tf.minimum(tf.cast(step, tf.float32) / (fraction * total_steps), 1.0)


def confident(probabilities: tf.Tensor, confidence: float) -> tf.Tensor:
    """Returns 1 for guesses whose greatest probability exceeds a confidence, else 0 `[N]`."""
    return tf.cast(tf.reduce_max(probabilities, axis=1) > confidence, probabilities.dtype)


def augment_strongly(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Returns images `[N, H, W, C]` in [0, 255] with other brightness, contrast and saturation, and a square cut out.

    Brightness, contrast and saturation change by up to 40 %; the square is grey. What RandAugment and cutout change
    most; flips and turns are those of the view itself.
    """

    def factors(use: int) -> tf.Tensor:
        return 0.6 + 0.8 * draws.fold(use).uniform(1, 1, 1)

    images = scale_contrast(scale_saturation(images, factors(0)), factors(1)) * factors(2)
    cut = tf.fill(images.shape[:1], _CUTOUT)
    rows, columns = (
        is_inside(side, draws.fold(use).uniform(), cut) for side, use in zip(images.shape[1:3], (3, 4), strict=True)
    )
    is_cut = rows[:, :, None, None] & columns[:, None, :, None]
    return tf.clip_by_value(tf.where(is_cut, 127.5, images), 0.0, 255.0)
