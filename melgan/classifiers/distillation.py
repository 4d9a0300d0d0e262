"""Distillation: a student learns from what a teacher thinks likely. Hinton et al. 2015, section 2."""

import tensorflow as tf


def distillation_losses(logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float) -> tf.Tensor:
    """Returns T^2 times the divergence of softened probabilities, KL(teacher || student) `[B]`.

    With the factor the size of gradients does not depend on the temperature.

    Arguments:
      logits: of the student `[B, C]`.
      teacher_logits: `[B, C]`; no gradient goes to them.
      temperature: T, greater than 0.
    """
    wanted = tf.nn.log_softmax(tf.stop_gradient(teacher_logits) / temperature)
    found = tf.nn.log_softmax(logits / temperature)
    return temperature**2 * tf.reduce_sum(tf.exp(wanted) * (wanted - found), axis=1)
