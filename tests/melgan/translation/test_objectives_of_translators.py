import numpy as np
import tensorflow as tf

from melgan.translation.objectives import OBJECTIVES


def test_least_squares_by_hand():
    """Of outputs 1.5, 0.5 and 0 beside 1, 0.5 and 0, which are to be 1 and 0; the logits are less by 1/2."""
    objective = OBJECTIVES["least_squares"]
    real, fake = tf.constant([1.0, 0.0, -0.5]), tf.constant([0.5, 0.0, -0.5])
    np.testing.assert_allclose(objective.discriminator(real, fake, None), [1.25, 0.5, 1.0])
    np.testing.assert_allclose(objective.generator(fake, None), [0.0, 0.25, 1.0])


def test_generators_gain_from_logits_of_real_images():
    for objective in OBJECTIVES.values():
        fake = tf.Variable([-1.5, 0.0, 0.4])  # 1/2 is all that least squares want
        with tf.GradientTape() as tape:
            losses = objective.generator(fake.value(), None)
        assert tf.reduce_all(tape.gradient(losses, fake) < 0)
