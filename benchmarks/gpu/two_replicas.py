"""Two replicas on one card, as logical devices, against one: the same weights after a step, and what two cost."""

import time
from functools import partial

import numpy as np
import tensorflow as tf

from benchmarks.gpu.measurements import Measurements, Part, main
from benchmarks.gpu.trainings import Steps, make_trainer, networks_of, weights_of
from melgan.training.distribution import make_strategy

_MEGABYTES = 30_000  # of the card's memory for each
_METHODS = ("bagan_gp", "sagan", "r3gan")
_TIMED_STEPS = 20


def make_two_devices() -> None:
    """Splits the first GPU, or the processor, into two logical devices."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, False)  # logical devices have a limit instead
    limits = [tf.config.LogicalDeviceConfiguration(memory_limit=_MEGABYTES if gpus else None) for _ in range(2)]
    tf.config.set_logical_device_configuration((gpus or tf.config.list_physical_devices("CPU"))[0], limits)


def two_against_one(method: str, measurements: Measurements) -> None:
    """Weights after the first step in float32 without XLA and TF32, from the same weights and images; time of more."""
    tf.config.experimental.enable_tensor_float_32_execution(False)
    size = {"width": 0.1, "global_batch_size": 4} if measurements.tiny else {"global_batch_size": 128}
    with measurements.line(f"{method}, two replicas against one", **size) as line:
        settings = size | {"xla": "off", "precision": "float32"}
        mirrored = make_strategy("mirrored")
        one, two = make_trainer(method, **settings), make_trainer(method, mirrored, **settings)
        for name, theirs in networks_of(two).items():
            theirs.set_weights(networks_of(one)[name].get_weights())
        before = weights_of(one)
        steps = [Steps(one), Steps(two, mirrored)]
        for each in steps:
            each.take(1)
        moved = np.linalg.norm(weights_of(one) - before)
        line["difference_over_the_step"] = float(np.linalg.norm(weights_of(two) - weights_of(one)) / moved)
        line["ms_one"], line["ms_two"] = (
            _milliseconds(each, 2 if measurements.tiny else _TIMED_STEPS) for each in steps
        )


def _milliseconds(steps: Steps, count: int) -> float:
    steps.take(2)
    started = time.perf_counter()
    steps.take(count)
    return 1e3 * (time.perf_counter() - started) / count


PARTS = {method: Part(partial(two_against_one, method), 60) for method in _METHODS}

if __name__ == "__main__":
    main("benchmarks.gpu.two_replicas", PARTS, prepare=make_two_devices)
