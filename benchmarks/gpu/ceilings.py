"""The ceilings of a card, measured: bytes a second, and arithmetic in each precision."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from benchmarks.gpu.measurements import Measurements, median_seconds

# Precision: type of the numbers, and whether float32 products may be computed in TF32.
PRECISIONS: dict[str, tuple[str, bool]] = {
    "float32": ("float32", False),
    "tf32": ("float32", True),
    "float16": ("float16", True),
    "bfloat16": ("bfloat16", True),
}
_COPY, _PRODUCT = "copy, bytes read and written", "matrix product"


def ceilings(measurements: Measurements) -> None:
    """Measures them, and what a launch costs."""
    side, numbers = (256, 1 << 16) if measurements.tiny else (8192, 1 << 29)
    with measurements.line(_COPY) as line:
        seconds, spread = median_seconds(_program(lambda x: x + 1.0, tf.random.uniform([numbers])))
        line |= {"bytes_per_second": 8 * numbers / seconds, "spread": spread}
    for precision, (dtype, tf32) in PRECISIONS.items():
        with measurements.line(_PRODUCT, precision=precision, side=side) as line:
            tf.config.experimental.enable_tensor_float_32_execution(tf32)
            factors = [tf.cast(tf.random.normal([side, side]), dtype) for _ in range(2)]
            seconds, spread = median_seconds(_program(tf.matmul, *factors))
            line |= {"flops_per_second": 2 * side**3 / seconds, "spread": spread}
    with measurements.line("one operation, launched eagerly") as line:
        x = tf.zeros([8])
        seconds, spread = median_seconds(lambda: x + 1.0, budget=1.0)
        line |= {"microseconds": 1e6 * seconds, "spread": spread}


def measured_ceilings(measurements: Measurements, precision: str) -> dict[str, float] | None:
    """Returns `flops_per_second` and `bytes_per_second` of this run, None if they were not measured."""
    found: dict[str, float] = {}
    for line in measurements.earlier():
        if line["what"] == _COPY and "error" not in line:
            found["bytes_per_second"] = line["bytes_per_second"]
        if line["what"] == _PRODUCT and line["precision"] == precision and "error" not in line:
            found["flops_per_second"] = line["flops_per_second"]
    return found if len(found) == 2 else None


def _program(function: Callable[..., tf.Tensor], *tensors: Any) -> Callable[[], tf.Tensor]:
    """Returns what calls a function, as one program, on tensors that it takes as inputs."""
    program = tf.function(function, autograph=False)
    return lambda: program(*tensors)
