"""The layer with which a new resolution fades in. Karras et al. 2018, figure 2. https://arxiv.org/abs/1710.10196"""

import keras
import tensorflow as tf


class FadeIn(keras.layers.Layer):
    """Mixes the output of the networks without a level and with it: (1 - alpha) old + alpha new.

    Figure 2 of the paper. Alpha is a weight that is not trained, 1 at first, so that networks tell from their weights
    how far they have grown.
    """

    def __init__(self, level: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.level = level
        # Checkpoints know alpha by this name.
        self.share = self.add_weight((), "ones", trainable=False, autocast=False, name="share")

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Returns the mix of [old, new], of their shape."""
        old, new = inputs
        alpha = tf.cast(self.share.value, new.dtype)
        return (1.0 - alpha) * old + alpha * new

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        """Returns the shape of one of them."""
        return input_shape[1]
