import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from melgan.training.distribution import make_strategy


@pytest.fixture(scope="session")
def one_device():
    return make_strategy("one_device")


@pytest.fixture
def op_determinism():
    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()
