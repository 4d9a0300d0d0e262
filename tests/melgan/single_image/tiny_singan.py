"""A SinGAN small enough to train in a test: three scales."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from melgan.single_image.config import SinganConfig
from melgan.single_image.stack import GeneratorStack
from tests.melgan.gans.tiny_gan import enlarge_weights

SIZES = (11, 12, 13)
TWO_SCALES = {"image_size": 11}  # both of 11 px
FIVE_SCALES = {"scale_factor": 0.92}  # the last has more filters


def tiny_config(**settings):
    defaults = {"image_size": 13, "min_size": 11, "scale_factor": 0.75, "width": 0.1, "steps_per_scale": 2}
    defaults |= {"disc_steps": 1, "gen_steps": 1}
    return SinganConfig(**(defaults | settings))


def tiny_image(size=13, *, channels=3, seed=0):
    """Returns a smooth image, uint8 `[size, size, channels]`."""
    waves = np.sin(np.add.outer(np.arange(size), 2 * np.arange(size))[..., None] / 5 + np.arange(channels) + seed)
    return np.uint8(127.5 + 100 * waves)


def tiny_stack(*, channels=3, **settings):
    """Returns generators whose residuals are not nearly zero, and whose noise is half as strong at each finer scale."""
    keras.utils.set_random_seed(0)
    stack = GeneratorStack(tiny_config(**settings), channels)
    for scale, generator in enumerate(stack.generators):
        enlarge_weights(generator)
        stack.amplitudes[scale].assign(0.5**scale)
    return stack


def no_batches(first_batch=0):
    """Returns an iterator of its own at every call."""
    return itertools.repeat(first_batch)


def take_steps(trainer, first, count):
    """Returns the metrics of steps by name, `[count]`, taken one after the other."""
    parts = []
    for step in range(first, first + count):
        program, _ = trainer.program_at(step)
        parts.append(program(no_batches(), tf.constant(step, tf.int64), tf.constant(1, tf.int64)))
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}


def state(trainer):
    """Returns copies of all that a checkpoint of a trainer holds, by name."""
    found = {}
    for name, part in trainer.checkpointed.items():
        members = part if isinstance(part, list) else [part]
        values = [value for member in members for value in getattr(member, "variables", [member])]
        found[name] = [np.array(tf.convert_to_tensor(value)) for value in values]
    return found


def require_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        for value, wanted in zip(found[name], values, strict=True):
            np.testing.assert_array_equal(value, wanted, err_msg=name)
