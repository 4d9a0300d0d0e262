from collections.abc import Iterator

import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from melgan.training.distribution import make_strategy
from tests.melgan.without_tracing import without_tracing
from tests.short_programs import leave_programs_as_traced

leave_programs_as_traced()


@pytest.fixture(scope="session")
def one_device():
    return make_strategy("one_device")


@pytest.fixture
def eager() -> Iterator[None]:
    """Runs programs as plain Python, for tests to which their graphs do not matter."""
    with without_tracing():
        yield


@pytest.fixture
def op_determinism():
    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()
