"""Self-attention over the places of a feature map. Zhang et al. 2018, section 3. https://arxiv.org/abs/1805.08318"""

import keras
import tensorflow as tf
from keras import layers

from melgan.layers.spectral import SpectralConv2D


class Attend(keras.layers.Layer):
    """Weighs values by how well their keys match each query: softmax(queries keys^T) values. Zhang et al. 2018, eq. 1.

    The softmax is over the places of keys and values, and in single precision.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Returns `[N, H, W, V]` for [queries `[N, H, W, C]`, keys `[N, h, w, C]`, values `[N, h, w, V]`]."""
        queries, keys, values = inputs
        scores = tf.matmul(_places(queries), _places(keys), transpose_b=True)
        weights = tf.cast(tf.nn.softmax(tf.cast(scores, keras.config.floatx())), values.dtype)
        return tf.reshape(tf.matmul(weights, _places(values)), [-1, *queries.shape[1:3], values.shape[-1]])


class AddScaled(keras.layers.Layer):
    """x + gain y, with one gain, learnt from zero on. Zhang et al. 2018, eq. 3."""

    def build(self, input_shape: list[tuple]) -> None:
        """Creates the gain."""
        del input_shape
        self.gain = self.add_weight((), "zeros", name="gain")

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Returns x + gain y for [x, y], of their shape."""
        x, y = inputs
        return x + self.gain.value * y


def self_attention(inputs: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Returns the inputs `[N, H, W, C]` plus what every place gathers from all others; at first the inputs themselves.

    Queries and keys have C / 8 channels. As in the authors' code (github.com/brain-research/self-attention-gan), and
    unlike the paper's text, values have C / 2, and keys and values are max-pooled to a quarter of the places, which
    takes a quarter of the memory.
    """
    channels = inputs.shape[-1]
    queries = _linear(channels // 8, f"{name}_queries")(inputs)
    keys = layers.MaxPooling2D(2, name=f"{name}_pooled_keys")(_linear(channels // 8, f"{name}_keys")(inputs))
    values = layers.MaxPooling2D(2, name=f"{name}_pooled_values")(_linear(channels // 2, f"{name}_values")(inputs))
    gathered = Attend(name=name)([queries, keys, values])
    return AddScaled(name=f"{name}_sum")([inputs, _linear(channels, f"{name}_outputs")(gathered)])


def _linear(channels: int, name: str) -> SpectralConv2D:
    return SpectralConv2D(max(1, channels), 1, use_bias=False, name=name)


def _places(features: tf.Tensor) -> tf.Tensor:
    """Returns features `[N, H, W, C]` as `[N, H W, C]`."""
    _, height, width, channels = features.shape
    return tf.reshape(features, [-1, height * width, channels])
