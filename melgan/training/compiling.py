"""Functions that XLA compiles, where that pays and where it can."""

from collections.abc import Callable, Sequence

import tensorflow as tf
from absl import logging

from tfrecords_tools.foundation.errors import ConfigError

# What a function that XLA cannot compile is answered with.
_REFUSALS = (
    tf.errors.InternalError,
    tf.errors.UnimplementedError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.UnknownError,
)


def compiles(xla: str, strategy: tf.distribute.Strategy) -> bool:
    """Returns whether the functions that train are compiled: if asked, or by default on one GPU.

    Raises:
      ConfigError: if asked under another strategy than `one_device`.
    """
    one_device = isinstance(strategy, tf.distribute.OneDeviceStrategy)
    if xla == "on" and not one_device:
        raise ConfigError("xla is 'on'; that takes the strategy one_device; use auto or off with others")
    if xla == "auto":
        return one_device and bool(tf.config.list_physical_devices("GPU"))
    return xla == "on"


def can_compile(run: Callable[[], object], variables: Sequence[tf.Variable], xla: str) -> bool:
    """Runs compiled functions once; returns whether XLA can compile them, and warns if it cannot.

    Arguments:
      run: see `reason_not_to_compile`.
      variables: see there.
      xla: the setting; `on` insists.

    Raises:
      ConfigError: if it cannot, and the user insists.
    """
    reason = reason_not_to_compile(run, variables)
    if reason and xla == "on":
        raise ConfigError(f"xla is 'on', but XLA cannot compile this training ({reason}); use auto or off")
    if reason:
        logging.warning("XLA cannot compile this training (%s); it goes on without", reason)
    return not reason


def reason_not_to_compile(run: Callable[[], object], variables: Sequence[tf.Variable]) -> str:
    """Runs compiled functions once; returns why XLA cannot compile them, "" if it can.

    Arguments:
      run: calls them with inputs of the right shapes.
      variables: all that it assigns; they have their values again afterwards.
    """
    values = [variable.numpy() for variable in variables]
    try:
        run()
    except _REFUSALS as error:
        return error.message.splitlines()[0]
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    return ""
