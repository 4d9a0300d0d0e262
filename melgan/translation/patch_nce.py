"""PatchNCE: a patch of a translated image is to be found again among the patches of its source.

Park et al. 2020, "Contrastive learning for unpaired image-to-image translation", section 3. There positions are drawn
without a grid; here they lie on one with a random offset, the same number at every size of features, so that nothing is
shuffled. https://arxiv.org/abs/2007.15651
"""

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import layers

from melgan.gans.architectures.filters import scaled_filters
from melgan.training.randomness import Draws

_SIDE = 16  # of the grid: 256 patches
_UNITS = 256
_LEAST_SQUARE = 1e-4  # of the norm of a point, so that one near the origin has a gradient that is not without bounds


def build_projector(tapped: keras.Model, width: float) -> keras.Model:
    """Returns a network from patches of every tap `[N, S, C]` to points `[N, S, units]`, never in half precision.

    Arguments:
      tapped: the network whose outputs are the taps `[N, h, w, C]`.
      width: factor on the published number of units.
    """
    units, inputs, outputs = scaled_filters(_UNITS, width), [], []
    for number, tap in enumerate(tapped.outputs):
        _, height, _, channels = tap.shape
        inputs.append(keras.Input((_side(height) ** 2, channels), name=f"patches_{number}"))
        x = layers.Dense(units, activation="relu", name=f"hidden_{number}")(inputs[-1])
        outputs.append(layers.Dense(units, dtype=keras.config.floatx(), name=f"projected_{number}")(x))
    return keras.Model(inputs, outputs, name="projector")


def patches(taps: Sequence[tf.Tensor], draws: Draws) -> list[tf.Tensor]:
    """Returns the features of some places of each tap, `[N, S, C]` for `[N, h, h, C]`; equal draws, equal places."""
    return [_on_grid(features, draws.fold(number)) for number, features in enumerate(taps)]


def patch_nce(queries: tf.Tensor, keys: tf.Tensor, temperature: float) -> tf.Tensor:
    """Returns -log p(own key | query) `[N]`, the mean over the S queries of an image. Park et al. 2020, eq. 3 and 4.

    Arguments:
      queries: of the translated images `[N, S, C]`; their direction counts.
      keys: of the same places of their sources `[N, S, C]`, likewise; those of other places are the negatives.
      temperature: of the softmax over the keys of an image.
    """
    queries, keys = (tf.math.l2_normalize(points, axis=-1, epsilon=_LEAST_SQUARE) for points in (queries, keys))
    similarities = tf.matmul(queries, keys, transpose_b=True) / temperature
    own = tf.reduce_sum(queries * keys, axis=-1) / temperature
    return tf.reduce_mean(tf.reduce_logsumexp(similarities, axis=-1) - own, axis=-1)


def _on_grid(features: tf.Tensor, draws: Draws) -> tf.Tensor:
    _, height, _, channels = features.shape
    side = _side(height)
    stride = height // side
    cells = tf.reshape(features, [-1, side, stride, side, stride, channels])
    offsets = tf.cast(draws.uniform(2) * stride, tf.int32)
    down, right = (tf.one_hot(offsets[:, axis], stride, dtype=features.dtype) for axis in (0, 1))
    chosen = tf.einsum("nisjtc,ns,nt->nijc", cells, down, right)
    return tf.reshape(chosen, [-1, side * side, channels])


def _side(height: int) -> int:
    return min(_SIDE, height)
