import pytest
import tensorflow as tf

from melgan.training.averaging import warmed_up_decay


@pytest.mark.parametrize(("step", "expected"), [(0, 0.1), (8, 0.5), (80, 0.9), (81, 0.9), (10**6, 0.9)])
def test_decay_grows_to_its_value(step, expected):
    assert float(warmed_up_decay(0.9, tf.constant(step, tf.int64))) == pytest.approx(expected)


def test_no_averaging():
    assert float(warmed_up_decay(0.0, tf.constant(50, tf.int64))) == 0.0
