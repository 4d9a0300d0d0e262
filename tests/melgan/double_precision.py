"""Computing in double precision, where rounding decides nothing: not on which side of its kink a unit near 0 falls."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """Lets Keras make layers and tensors of float64."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
