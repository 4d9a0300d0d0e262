"""Several steps in one call of the device, and what each of them measured.

Programs are traced with `autograph=False`: it would translate all Python that they reach, Keras among it, which costs
up to ten seconds at every start, and nothing here needs it.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf


def take_steps(
    num_steps: tf.Tensor, names: Sequence[str], take_step: Callable[[tf.Tensor], tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Takes steps one after another, inside a `tf.function`; returns the values of every step by name, `[num_steps]`.

    Arguments:
      num_steps: how many.
      names: of the values.
      take_step: from the number of a step, counted from 0, to its values `[len(names)]`.
    """
    history = tf.TensorArray(keras.config.floatx(), size=tf.cast(num_steps, tf.int32), element_shape=[len(names)])

    def body(number: tf.Tensor, history: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        return number + 1, history.write(tf.cast(number, tf.int32), take_step(number))

    _, history = tf.while_loop(lambda number, _: number < num_steps, body, (tf.zeros_like(num_steps), history))
    return dict(zip(names, tf.unstack(tf.transpose(history.stack()), num=len(names)), strict=True))
