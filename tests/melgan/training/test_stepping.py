import numpy as np
import pytest
import tensorflow as tf

from melgan.training.stepping import make_program


def numbers():
    """Returns an endless stream of batches: 0, 1, 2 and so on."""
    return iter(tf.data.Dataset.counter().map(lambda number: {"number": number}))


def run(program, first, count, batches=None):
    batches = batches or numbers()
    metrics = program(batches, tf.constant(first, tf.int64), tf.constant(count, tf.int64))
    return {name: values.numpy().tolist() for name, values in metrics.items()}


def test_metrics_of_every_step_come_in_order_by_name(one_device):
    def replica_step(batches, step):
        del batches
        return {"square": tf.cast(step * step, tf.float32), "double": tf.cast(2 * step, tf.float32)}

    program = make_program(one_device, replica_step)
    for first, count in ((0, 1), (0, 4), (3, 2)):
        steps = range(first, first + count)
        assert run(program, first, count) == {"square": [n * n for n in steps], "double": [2 * n for n in steps]}
    assert program.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("batches_per_step", [1, 3])
def test_a_step_takes_so_many_batches(one_device, batches_per_step):
    def replica_step(batches, step):
        del step
        assert len(batches) == batches_per_step
        return {"first": tf.cast(batches[0]["number"], tf.float32), "last": tf.cast(batches[-1]["number"], tf.float32)}

    batches = numbers()
    metrics = run(make_program(one_device, replica_step, batches_per_step=batches_per_step), 5, 4, batches)
    assert metrics["first"] == [batches_per_step * n for n in range(4)]
    assert metrics["last"] == [batches_per_step * n + batches_per_step - 1 for n in range(4)]
    assert int(next(batches)["number"]) == 4 * batches_per_step


def test_something_may_happen_before_and_after_each_step_and_after_all(one_device):
    """Before step n a variable is n; the step reads it; afterwards the sum of what it gave grows."""
    current, total = tf.Variable(0.0), tf.Variable(0.0)
    program = make_program(
        one_device,
        lambda batches, step: {"loss": 10.0 * current},
        before_step=lambda step: current.assign(tf.cast(step, tf.float32)),
        after_step=lambda step, metrics: total.assign_add(metrics["loss"] + tf.cast(step, tf.float32)),
        after_steps=lambda metrics: metrics | {"root": tf.sqrt(metrics["loss"])},
    )
    metrics = run(program, 2, 3)
    assert metrics["loss"] == [20.0, 30.0, 40.0]
    np.testing.assert_allclose(metrics["root"], np.sqrt([20.0, 30.0, 40.0]), rtol=1e-6)
    assert (float(current), float(total)) == (4.0, 20.0 + 2 + 30 + 3 + 40 + 4)
