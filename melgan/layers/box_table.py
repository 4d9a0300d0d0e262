"""Boxes inside a generator, taken from training images; the latents choose among them.

So a generator with boxes is one of latents and labels like any other, and knows where lesions of a class may lie.
"""

import keras
import numpy as np
import tensorflow as tf

from melgan.layers.box_map import MAX_BOXES

ROWS = 256  # of a class; where it has fewer training images, their boxes are there several times


class BoxTable(keras.layers.Layer):
    """Boxes of `ROWS` training images of every class, of which the first number of the latents chooses.

    The table is a weight that is not trained, zeros (no boxes) until `fill`. The distribution function of the normal
    makes the number uniform, so that every row is as likely; what draws the image must not see it.
    """

    def __init__(self, num_classes: int, *, name: str | None = None) -> None:
        # Never in half precision, which tells neither all rows nor all pixels apart.
        super().__init__(name=name, dtype=keras.config.floatx(), autocast=False)
        self.table = self.add_weight((num_classes, ROWS, MAX_BOXES, 4), "zeros", trainable=False, name="table")

    def fill(self, rows: np.ndarray) -> None:
        """Sets the table `[num_classes, ROWS, MAX_BOXES, 4]`, see `draw_rows`."""
        self.table.assign(rows)

    def call(self, latents: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns the boxes `[N, MAX_BOXES, 4]` that latents `[N, latent_dim]` choose for labels `[N]`."""
        uniform = 0.5 * (1.0 + tf.math.erf(latents[:, 0] / np.sqrt(2.0)))
        rows = tf.clip_by_value(tf.cast(uniform * ROWS, tf.int32), 0, ROWS - 1)
        # XLA gathers from tensors only, not from variables.
        return tf.gather_nd(tf.convert_to_tensor(self.table.value), tf.stack([labels, rows], axis=1))

    def compute_output_shape(self, latents_shape: tuple, labels_shape: tuple) -> tuple:
        """Returns the shape of the boxes of as many images."""
        del labels_shape
        return (latents_shape[0], MAX_BOXES, 4)
