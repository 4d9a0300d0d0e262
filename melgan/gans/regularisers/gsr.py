"""Group spectral regularisation: the gains and offsets of each class in conditional normalisation are held small.

Rangwani et al. 2022, "Improving GANs for long-tailed data through group spectral regularization", eq. 5 to 7, and the
authors' code (github.com/val-iisc/gSRGAN). https://arxiv.org/abs/2208.09932

What a class adds to the gains of a layer, the gain less 1, is laid out as a matrix as square as it can be, and its
largest singular value squared is the penalty; likewise for the offsets. Those of a rare class, which explode before it
collapses, weigh more. The values are estimated by a power iteration from directions that are kept from step to step.
(In the authors' code the directions of offsets are moved by those of gains; here each by its own.)
"""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from melgan.gans.regularisers.interface import GeneratorPass, Regulariser, Subject, Sums, Term
from melgan.layers.normalization import ConditionalBatchNormalization
from melgan.training.randomness import Draws

_BETA = 0.999
_ITERATIONS = 4  # of the power iteration, in every step


def gsr(subject: Subject) -> Regulariser:
    """Returns the mean over layers and classes of the class's weight times the sum of both squared singular values."""
    tables = _tables(subject.generator)
    weights = tf.constant(class_weights(subject.class_counts), keras.config.floatx())

    def term(made: GeneratorPass, draws: Draws) -> Term:
        del draws
        squares = tf.add_n([tf.reduce_sum(tf.square(table.unnormalised_direction()), axis=1) for table in tables])
        # A layer has two tables.
        value = tf.reduce_sum(weights * squares) / (subject.num_classes * len(tables) / 2)
        return Term(tf.fill(tf.shape(made.fake_labels), value))

    def learn(found: Sums) -> None:
        del found
        context = tf.distribute.get_replica_context()
        directions = [table.next_direction() for table in tables]
        # Replicas have equal weights, but may round otherwise; they store the mean, so that they stay equal.
        means = context.all_reduce(tf.distribute.ReduceOp.MEAN, directions)
        for table, direction in zip(tables, means, strict=True):
            table.direction.assign(direction)

    return Regulariser(generator=term, memory=[table.direction for table in tables], learn=learn)


def class_weights(class_counts: Sequence[int]) -> np.ndarray:
    """Returns weights `[K]` with a mean of one, in proportion to 1 / E, E = (1 - b^n) / (1 - b) for n images.

    The effective number of samples of Cui et al. 2019, "Class-balanced loss", eq. 2; b is 0.999.
    """
    counts = np.maximum(np.asarray(class_counts, np.float64), 1)
    inverse = (1 - _BETA) / (1 - _BETA**counts)
    return inverse / inverse.mean()


def squarest(channels: int) -> tuple[int, int]:
    """Returns the rows and columns of the matrix that a row of so many channels is laid out as: rows are fewer."""
    rows = max(number for number in range(1, math.isqrt(channels) + 1) if channels % number == 0)
    return rows, channels // rows


class ClassMatrices:
    """What each class adds to the gains or to the offsets of a layer, as matrices, with directions to follow them by.

    Arguments:
      table: a row a class, `[K, channels]`.
      neutral: what a class that adds nothing has there.
      number: of the table, by which its first directions differ.
    """

    def __init__(self, table: keras.Variable, neutral: float, number: int) -> None:
        self._table, self._neutral = table, neutral
        self._shape = squarest(table.shape[1])
        shape = (table.shape[0], self._shape[1])
        normal = keras.initializers.RandomNormal(1.0, seed=number)
        self.direction = keras.Variable(normal, shape, keras.config.floatx(), trainable=False, name=f"gsr_{number}")

    def unnormalised_direction(self) -> tf.Tensor:
        """Returns W^T v `[K, columns]`, as long as the singular value; v counts as a constant, see `spectral.py`."""
        matrices, direction = self._matrices(), self.direction.value
        for _ in range(_ITERATIONS - 1):
            direction = _normalised(_step(tf.stop_gradient(matrices), direction), direction)
        return _step(matrices, direction)

    def next_direction(self) -> tf.Tensor:
        """Returns the directions `[K, columns]` that follow the stored ones."""
        return _normalised(self.unnormalised_direction(), self.direction.value)

    def _matrices(self) -> tf.Tensor:
        return tf.reshape(self._table.value - self._neutral, [-1, *self._shape])


def _step(matrices: tf.Tensor, directions: tf.Tensor) -> tf.Tensor:
    """Returns W^T v `[K, columns]`, v the direction `[K, rows]` of W times a direction `[K, columns]`."""
    left = tf.linalg.matvec(matrices, directions)
    return tf.linalg.matvec(matrices, tf.stop_gradient(_normalised(left, left)), transpose_a=True)


def _normalised(vectors: tf.Tensor, otherwise: tf.Tensor) -> tf.Tensor:
    """Returns vectors `[K, n]` of length one; for those that are zero, others: a matrix of zeros turns nothing."""
    lengths = tf.sqrt(tf.reduce_sum(tf.square(vectors), axis=1, keepdims=True))
    return tf.where(lengths > 1e-12, vectors / tf.maximum(lengths, 1e-12), otherwise)


def _tables(generator: keras.Model) -> list[ClassMatrices]:
    """Returns the gains and the offsets of every conditional normalisation."""
    layers = [layer for layer in generator.layers if isinstance(layer, ConditionalBatchNormalization)]
    tables = [pair for layer in layers for pair in ((layer.factors.embeddings, 1.0), (layer.offsets.embeddings, 0.0))]
    return [ClassMatrices(table, neutral, number) for number, (table, neutral) in enumerate(tables)]
