"""Trainings of GANs on random images in memory, for the benchmarks of steps."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan.gans.config import GanConfig
from melgan.gans.methods import resolve
from melgan.gans.trainer import GanTrainer
from melgan.training.distribution import make_strategy

CLASS_COUNTS = (6, 5, 4, 3, 2, 1, 1)


def make_trainer(method: str, strategy: str | tf.distribute.Strategy = "one_device", **settings: Any) -> GanTrainer:
    """Returns a trainer of a method; networks that could grow have grown unless settings say otherwise.

    Arguments:
      method: of METHODS.
      strategy: itself or its name.
      settings: fields of GanConfig.
    """
    config = resolve(GanConfig(method=method, **{"image_size": 64, "phase_epochs": 0.0} | settings))
    strategy = make_strategy(strategy) if isinstance(strategy, str) else strategy
    return GanTrainer(config, CLASS_COUNTS, strategy)


def real_batch(config: GanConfig) -> dict[str, np.ndarray]:
    """Returns images uint8 `[B, H, W, 3]`, noise over a ramp, their labels `[B]` and a box each `[B, 1, 4]`."""
    rng, size = np.random.default_rng(0), config.global_batch_size
    images = noisy_ramps(rng, size, config.image_size)
    boxes = np.broadcast_to(np.float32([0.25, 0.25, 0.75, 0.75]), (size, 1, 4))
    return {"image": images, "label": rng.integers(0, len(CLASS_COUNTS), size).astype(np.int32), "boxes": boxes}


def noisy_ramps(rng: np.random.Generator, count: int, side: int) -> np.ndarray:
    """Returns images of noise over a ramp, uint8 `[count, side, side, 3]`."""
    ramp = np.linspace(0, 200, side)[:, None, None]
    return (ramp + rng.integers(0, 56, (count, side, side, 3))).astype(np.uint8)


def networks_of(trainer: GanTrainer) -> dict[str, keras.Model]:
    """Returns the networks that a step trains, by name."""
    return {name: trainer.checkpointed[name] for name in ("generator", "trunk", "head")}


def flat(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the numbers of arrays as one vector."""
    return np.concatenate([np.ravel(array) for array in arrays])


def weights_of(trainer: GanTrainer) -> np.ndarray:
    """Returns the weights of all networks that a step trains as one float64 vector."""
    weights = flat(weight for network in networks_of(trainer).values() for weight in network.get_weights())
    return weights.astype(np.float64)


class Steps:
    """Takes steps of a trainer on one batch again and again.

    Arguments:
      trainer: what takes them.
      strategy: over whose replicas the batch is spread, if there are several.
    """

    def __init__(self, trainer: GanTrainer, strategy: tf.distribute.Strategy | None = None) -> None:
        self.done = 0
        self._trainer = trainer
        dataset = tf.data.Dataset.from_tensor_slices(real_batch(trainer.config)).batch(
            trainer.config.global_batch_size, drop_remainder=True
        )
        dataset = dataset.cache().repeat()
        self._batches = iter(dataset if strategy is None else strategy.experimental_distribute_dataset(dataset))

    def take(self, count: int) -> dict[str, np.ndarray]:
        """Takes steps in as few calls as there are programs; returns the metrics of each step `[count]`."""
        parts, end = [], self.done + count
        while self.done < end:
            program, until = self._trainer.program_at(self.done)
            steps = min(end, until or end) - self.done
            metrics = program(self._batches, tf.constant(self.done, tf.int64), tf.constant(steps, tf.int64))
            parts.append({name: values.numpy() for name, values in metrics.items()})
            self.done += steps
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    @property
    def graph(self) -> tf.Graph:
        """The program of the next step as it was traced."""
        program, _ = self._trainer.program_at(self.done)
        number = tf.constant(0, tf.int64)
        return program.get_concrete_function(self._batches, number, number).graph
