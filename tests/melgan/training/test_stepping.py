import numpy as np
import tensorflow as tf

from melgan.training.stepping import take_steps


def test_values_of_every_step_come_in_order_by_name():
    @tf.function
    def run(num_steps):
        return take_steps(
            num_steps, ("square", "double"), lambda number: tf.cast([number * number, 2 * number], tf.float32)
        )

    for num_steps in (1, 4):
        values = run(tf.constant(num_steps, tf.int64))
        np.testing.assert_array_equal(values["square"], [0, 1, 4, 9][:num_steps])
        np.testing.assert_array_equal(values["double"], [0, 2, 4, 6][:num_steps])
    assert run.experimental_get_tracing_count() == 1
