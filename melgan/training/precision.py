"""The numbers that layers compute with, and a step of an optimizer that survives overflow in float16."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

_HALF_POLICIES = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_FIRST_TENSOR_CORES = (7, 0)


def resolve_precision(precision: str, strategy: tf.distribute.Strategy) -> str:
    """Returns float32, bfloat16 or float16; `auto` takes what the device at hand is made for."""
    if precision != "auto":
        return precision
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return "bfloat16"
    gpus = tf.config.list_physical_devices("GPU")
    capabilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    return "float16" if gpus and min(capabilities) >= _FIRST_TENSOR_CORES else "float32"


@contextlib.contextmanager
def layers_computing_in(precision: str) -> Iterator[None]:
    """Lets layers that are built inside compute in a precision; their weights stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_HALF_POLICIES.get(precision, keras.config.floatx()))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def make_adam(
    learning_rate: float | tf.Variable,
    beta_1: float,
    beta_2: float | tf.Variable,
    *,
    precision: str,
    variables: Sequence[keras.Variable],
) -> keras.optimizers.Optimizer:
    """Returns Adam for some variables; in float16 it scales the loss by a factor that follows the overflows.

    A setting that is a variable may be assigned between steps.
    """
    rate = learning_rate.read_value if isinstance(learning_rate, tf.Variable) else learning_rate
    optimizer = keras.optimizers.Adam(rate, beta_1, beta_2)
    if precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(list(variables))
    return optimizer


def adam_of(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Returns the Adam itself, whose state is the same in every precision."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def loss_scale_of(optimizer: keras.optimizers.Optimizer) -> list[tf.Variable]:
    """Returns the state of the factor of the loss: none but in float16."""
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return []
    return [optimizer.step_counter.value, optimizer.dynamic_scale.value]


def reset_moments(optimizer: keras.optimizers.Optimizer) -> None:
    """Lets an Adam begin anew, as if it had taken no step; its learning rate and its factor of the loss stay."""
    adam = adam_of(optimizer)
    for variable in adam.variables:
        if variable is not adam.learning_rate:
            variable.assign(tf.zeros_like(variable))


class AppliedGradients(NamedTuple):
    """A step of an optimizer.

    `squared_norm` `[]` is of the unscaled gradients, 0 if the step was left out; `skipped` is 1 if it was, else 0.
    """

    squared_norm: tf.Tensor
    skipped: tf.Tensor


def apply_gradients(
    optimizer: keras.optimizers.Optimizer, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]
) -> AppliedGradients:
    """Takes a step of the optimizer, in replica context; it sums the gradients over the replicas.

    In float16 no replica takes the step if the gradients of any are not finite: one that alone saw the overflow would
    hand it to all in the sum.

    Arguments:
      optimizer: from `make_adam`.
      gradients: of the scaled loss (`optimizer.scale_loss`), of this replica's examples.
      variables: as many.
    """
    gradients = list(gradients)
    squared_norm = tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in gradients])
    skipped = tf.zeros_like(squared_norm)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        overflow = tf.cast(~tf.math.is_finite(squared_norm), squared_norm.dtype)
        overflows = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, overflow)
        skipped = tf.minimum(overflows, 1.0)
        squared_norm = tf.where(overflows > 0, 0.0, squared_norm / tf.square(optimizer.dynamic_scale.value))
        gradients = [tf.where(overflows > 0, float("nan"), gradient) for gradient in gradients]
    optimizer.apply(gradients, variables)
    return AppliedGradients(squared_norm, skipped)
