"""A translator small enough to train in a test, and batches for it."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from melgan.translation.config import TranslatorConfig
from melgan.translation.trainer import TranslationTrainer
from melgan.translation.translators import resolve

NUM_CLASSES = 2
TOTAL_STEPS = 100


def tiny_config(method="auggan", **settings):
    """Returns a resolved config."""
    defaults = {"image_size": 32, "width": 0.05, "blocks": 1, "global_batch_size": 4}
    return resolve(TranslatorConfig(method=method, **(defaults | settings)))


def tiny_trainer(strategy, method="auggan", *, total_steps=TOTAL_STEPS, **settings):
    """Returns the trainer of a tiny translator."""
    config = tiny_config(method, **settings)
    return TranslationTrainer(config, strategy, num_classes=NUM_CLASSES, total_steps=total_steps)


def tiny_batch(size=4, *, image_size=32, seed=0):
    """Returns random images with random squares as masks, for every method; labels are 0, 1, 0, 1, ..."""
    rng = np.random.default_rng(seed)
    batch = {"label": (np.arange(size) % NUM_CLASSES).astype(np.int32)}
    for prefix in ("", "source_", "target_"):
        batch[f"{prefix}image"] = rng.integers(0, 256, (size, image_size, image_size, 3)).astype(np.uint8)
        batch[f"{prefix}mask"] = np.stack([_square(rng, image_size) for _ in range(size)])
    return batch


def tiny_batches(start_step=0) -> Iterator:
    """Returns an endless stream of batches of 4, a different one at every step, from a step on."""
    steps = [tiny_batch(seed=step) for step in range(10)]
    batches = {name: np.stack([batch[name] for batch in steps]) for name in steps[0]}
    return iter(tf.data.Dataset.from_tensor_slices(batches).repeat().skip(start_step))


def passes_of(trainer, batch=None, step=0):
    """Returns the passes of a step, of which nothing is made yet."""
    batch = {name: tf.constant(value) for name, value in (batch or tiny_batch()).items()}
    return trainer.passes(batch, trainer.draws(step))


def _square(rng, image_size):
    first, last = np.sort(rng.choice(image_size, (2, 2), replace=False), axis=0)
    mask = np.zeros((image_size, image_size, 1), np.uint8)
    mask[first[0] : last[0] + 1, first[1] : last[1] + 1] = 255
    return mask
