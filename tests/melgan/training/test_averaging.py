import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.training.averaging import copy_values, update_average, warmed_up_decay


@pytest.mark.parametrize(("step", "expected"), [(0, 0.1), (8, 0.5), (80, 0.9), (81, 0.9), (10**6, 0.9)])
def test_decay_grows_to_its_value(step, expected):
    assert float(warmed_up_decay(0.9, tf.constant(step, tf.int64))) == pytest.approx(expected)


def test_no_averaging():
    assert float(warmed_up_decay(0.0, tf.constant(50, tf.int64))) == 0.0


def variables(*values):
    return [keras.Variable(np.array(value, np.float32)) for value in values]


@pytest.mark.parametrize("decay", [0.75, tf.constant(0.75)], ids=["number", "tensor"])
def test_average_keeps_its_decay_and_takes_the_rest_from_the_value(decay):
    averages, values = variables([0.0, 8.0], 4.0), variables([4.0, 0.0], 8.0)
    update_average(averages, values, decay)
    np.testing.assert_allclose(averages[0], [1.0, 6.0])
    np.testing.assert_allclose(averages[1], 5.0)
    np.testing.assert_array_equal(values[0], [4.0, 0.0])


def test_values_are_copied():
    targets, sources = variables([0.0, 8.0], 4.0), variables([4.0, 0.0], 8.0)
    copy_values(targets, sources)
    np.testing.assert_array_equal(targets[0], [4.0, 0.0])
    np.testing.assert_array_equal(targets[1], 8.0)


@pytest.mark.parametrize("act", [copy_values, lambda *sides: update_average(*sides, 0.5)], ids=["copy", "average"])
def test_as_many_on_either_side(act):
    with pytest.raises(ValueError, match="zip"):
        act(variables(1.0, 2.0), variables(1.0))
