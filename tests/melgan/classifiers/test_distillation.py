"""Distillation: nothing to learn from an equal, and gradients of the same size at any temperature."""

import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers.distillation import distillation_losses

RNG = np.random.default_rng(0)
STUDENT = tf.constant(RNG.normal(size=(5, 3)), tf.float32)
TEACHER = tf.constant(RNG.normal(size=(5, 3)), tf.float32)


def gradient(logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float) -> np.ndarray:
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = distillation_losses(logits, teacher_logits, temperature)
    return tape.gradient(losses, logits).numpy()


def test_losses_by_hand():
    """Odds of 3 : 1 taught to a student at 1 : 1: 0.75 log 1.5 + 0.25 log 0.5."""
    losses = distillation_losses(tf.zeros((1, 2)), tf.math.log([[3.0, 1.0]]), 1.0)
    np.testing.assert_allclose(losses, [0.75 * np.log(1.5) + 0.25 * np.log(0.5)], rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_a_student_equal_to_its_teacher_learns_nothing(temperature):
    np.testing.assert_allclose(distillation_losses(STUDENT, STUDENT, temperature), np.zeros(5), atol=1e-6)
    np.testing.assert_allclose(gradient(STUDENT, STUDENT, temperature), np.zeros((5, 3)), atol=1e-6)


def test_at_high_temperature_gradients_tend_to_the_difference_of_the_logits():
    """(z - r) / C for logits of mean 0: Hinton et al. 2015, eq. 4, with the factor T^2."""
    student, teacher = (logits - tf.reduce_mean(logits, axis=1, keepdims=True) for logits in (STUDENT, TEACHER))
    np.testing.assert_allclose(gradient(student, teacher, 200.0), (student - teacher) / 3, atol=0.01)


def test_no_gradient_goes_to_the_teacher():
    with tf.GradientTape() as tape:
        tape.watch(TEACHER)
        losses = distillation_losses(STUDENT, TEACHER, 2.0)
    assert tape.gradient(losses, TEACHER) is None
