"""Minibatch standard deviation: how far the images of a small group differ, shown to the discriminator.

Karras et al. 2018, section 3, with groups as in the authors' code.
"""

import keras
import tensorflow as tf

_GROUP_SIZE = 4
_EPSILON = 1e-8


class MinibatchStddev(keras.layers.Layer):
    """Appends to features one map that holds, for a group of images, their mean standard deviation.

    The standard deviation over the group is taken of every feature at every place, the mean over all of these. Groups
    are of 4 images that follow one another in the batch, so that two replicas with half a batch each have the same
    groups as one device, where the half is a multiple of 4. (In the authors' code groups are interleaved.) A batch
    that is not a multiple of 4 has groups of 3, 2 or 1; of a single image the deviation is 0.0001, next to nothing.

    `group_size` may be set to 1: no image touches another, as a classifier wants it.
    """

    group_size = _GROUP_SIZE

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, H, W, C + 1]` for features `[N, H, W, C]` of a known N; any, where groups are of 1 image."""
        batch_size, height, width, channels = inputs.shape
        size = max(number for number in range(1, self.group_size + 1) if number == 1 or batch_size % number == 0)
        groups = tf.reshape(inputs, [-1, size, height, width, channels])
        groups = tf.cast(groups, keras.config.floatx())
        deviations = tf.sqrt(tf.math.reduce_variance(groups, axis=1) + _EPSILON)
        means = tf.repeat(tf.reduce_mean(deviations, axis=[1, 2, 3]), size)
        maps = tf.broadcast_to(means[:, None, None, None], tf.shape(inputs[..., :1]))
        return tf.concat([inputs, tf.cast(maps, inputs.dtype)], axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the inputs with a channel more."""
        return (*input_shape[:-1], input_shape[-1] + 1)
