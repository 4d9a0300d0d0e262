"""Gradients as optimizers need them."""

from collections.abc import Sequence

import keras
import tensorflow as tf


def dense_gradients(tape: tf.GradientTape, loss: tf.Tensor, variables: Sequence[keras.Variable]) -> list[tf.Tensor]:
    """Returns the gradients of a loss, those of embeddings as dense as the others.

    A sparse one has a row for every example, and the Adam of Keras 3 squares them before it sums those of one label.
    """
    return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
