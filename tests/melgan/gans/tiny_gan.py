"""A GAN small enough to train in a test, and batches for it."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from melgan.gans.config import GanConfig
from melgan.gans.methods import resolve
from melgan.gans.penalties import RealAndFake
from melgan.layers.box_map import MAX_BOXES
from melgan.layers.box_table import ROWS
from melgan.training.randomness import Draws

CLASS_COUNTS = (6, 2)


def tiny_config(**settings):
    """Returns a resolved config; networks that could grow are grown from the start."""
    defaults = {"image_size": 32, "width": 0.1, "global_batch_size": 4, "disc_steps": 1, "latent_dim": 8}
    defaults |= {"phase_epochs": 0.0}
    return resolve(GanConfig(**(defaults | settings)))


def tiny_batch(size=4, *, image_size=32, seed=0):
    """Returns random images, labels 0, 1, 0, 1, ..., and a box in each image."""
    images = np.random.default_rng(seed).integers(0, 256, (size, image_size, image_size, 3)).astype(np.uint8)
    return {"image": images, "label": (np.arange(size) % 2).astype(np.int32), "boxes": random_boxes(size, seed=seed)}


def random_boxes(*shape, seed=0):
    """Returns boxes of images, one each, `[*shape, MAX_BOXES, 4]`."""
    boxes = np.zeros((*shape, MAX_BOXES, 4), np.float32)
    corners = np.sort(np.random.default_rng(seed).uniform(size=(*shape, 2, 2)), axis=-2)
    boxes[..., 0, :] = corners.reshape(*shape, 4)
    return boxes


def random_table(num_classes, seed=0):
    """Returns boxes for a `BoxTable`."""
    return random_boxes(num_classes, ROWS, seed=seed)


def tiny_batches(start_step=0) -> Iterator:
    """Returns an endless stream of batches of 4, a different one at every step, from a step on."""
    steps = [tiny_batch(seed=step) for step in range(10)]
    batches = {name: np.stack([batch[name] for batch in steps]) for name in steps[0]}
    return iter(tf.data.Dataset.from_tensor_slices(batches).repeat().skip(start_step))


def take_steps(trainer, batches, *, first=0, count=1):
    """Returns the metrics of steps by name, `[count]`, taken in one call of each program."""
    parts, step = [], first
    while step < first + count:
        program, changes_at = trainer.program_at(step)
        end = first + count if changes_at is None else min(first + count, changes_at)
        parts.append(program(batches, tf.constant(step, tf.int64), tf.constant(end - step, tf.int64)))
        step = end
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}


def shown_to(trainer, batch, step=0):
    """Returns real images and labels of a batch as the discriminator is shown them at a step."""
    level = trainer.growth.level(step)
    shown = trainer.step_at(level).as_shown(batch, trainer.growth.degree(tf.constant(step, tf.int64)))
    return shown["image"], tf.constant(batch["label"])


def discriminator_gradients(trainer, images, labels, draws, *, fakes=None, level=-1, penalised=True):
    """Returns the gradients of a discriminator step on images as they are shown, and its terms by name.

    Fakes, and their labels, are drawn where they are not given.
    """
    step = trainer.step_at(level)
    shown = RealAndFake(images, labels, *(fakes or step.generate(labels, draws)))
    return trainer.discriminator_gradients(step, shown, draws, penalised=penalised)[:2]


def generator_gradients(trainer, images, labels, draws, *, level=-1):
    """Returns the gradients of a generator step beside images as they are shown, and its terms by name."""
    return trainer.generator_gradients(trainer.step_at(level), images, labels, draws)[:2]


def flat(values):
    """Returns tensors or variables as one numpy vector."""
    return np.concatenate([np.zeros(0, np.float32), *(np.ravel(tf.convert_to_tensor(value)) for value in values)])


def enlarge_weights(network, deviation=0.1):
    """Adds the same noise to a network's weights at every call; so young, its outputs and gradients are nearly zero."""
    rng = np.random.default_rng(0)
    for variable in network.trainable_variables:
        variable.assign(variable + rng.normal(0, deviation, variable.shape))


def program_for_accelerator(trainer, image_size=32, *, level=-1):
    """Returns the program that XLA is given for both gradient functions of a trainer, compiled from one trace."""

    @tf.function(autograph=False, jit_compile=True)
    def compiled(images, labels, seed):
        draws = Draws(seed, 0, labels.shape[0], 1)
        discriminator = discriminator_gradients(trainer, images, labels, draws, level=level)
        return discriminator, generator_gradients(trainer, images, labels, draws, level=level)

    inputs = *shown_to(trainer, tiny_batch(image_size=image_size)), tf.constant([0, 1])
    program = compiled.experimental_get_compiler_ir(*inputs)(stage="hlo")
    assert compiled.experimental_get_tracing_count() == 1
    return program
