"""Transfer: a GAN that starts from the weights of another one, trained on other classes or other data.

What does not depend on the class table is copied as it is. What does has one row a class, such as a label embedding,
and is copied by the name of the class.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import keras
import numpy as np
import tensorflow as tf

from melgan.gans.architectures import build_networks, network_shape
from melgan.gans.architectures.networks import Discriminator
from melgan.gans.config import GanConfig
from melgan.gans.trainer import GanTrainer
from tfrecords_tools.foundation.errors import ConfigError
from tfrecords_tools.foundation.settings import differences


@dataclass(frozen=True)
class _ClassTables:
    """The names of the classes of the source and of the target."""

    source: tuple[str, ...]
    target: tuple[str, ...]

    def carry_over(self, rows: np.ndarray) -> np.ndarray:
        """Returns the row of each target class, from one row for each source class: its own, or the mean of all."""
        row_of = dict(zip(self.source, rows, strict=True))
        mean = rows.mean(axis=0)
        return np.stack([row_of.get(name, mean) for name in self.target])


def require_same_networks(source: GanConfig, target: GanConfig) -> None:
    """Raises ConfigError, naming the settings that differ, if the networks of two configs differ in shape."""
    shapes = [{"architecture": config.architecture, **asdict(network_shape(config, 0))} for config in (source, target)]
    others = differences(*shapes)
    if others:
        raise ConfigError(f"weights carry over between equal networks only ({others}); give the former")


def read_discriminator(checkpoint: str, config: GanConfig, num_classes: int) -> Discriminator:
    """Returns the discriminator of a checkpoint of a GanTrainer; it holds values only, no code is read from it.

    Arguments:
      checkpoint: its path, without `.index`.
      config: resolved, of the run that wrote it.
      num_classes: of that run.

    Raises:
      ConfigError: if the checkpoint is damaged, or not of these networks.
    """
    discriminator = build_networks(config, num_classes).discriminator
    _read(checkpoint, discriminator.parts)
    return discriminator


def read_encoder(checkpoint: str, config: GanConfig, num_classes: int) -> keras.Model:
    """Returns the encoder of a checkpoint, of a GanTrainer whose generator has Gaussians that are fitted with it.

    Arguments and errors: see `read_discriminator`.
    """
    encoder = build_networks(config, num_classes).encoder
    _read(checkpoint, {"encoder": encoder})
    return encoder


def transfer_weights(
    generator: keras.Model,
    discriminator: Discriminator | None,
    trainer: GanTrainer,
    *,
    source_classes: Sequence[str],
    target_classes: Sequence[str],
) -> None:
    """Copies the networks of a GAN into a trainer that has not begun; its average starts at the copied generator.

    A class that the source does not know starts from the mean of the source's rows: unlike a random row it lies
    where the layers behind it have learnt to read, and it prefers no class.

    Arguments:
      generator: of the same architecture and shape as the trainer's but for the class table.
      discriminator: likewise; None leaves the trainer's as it is.
      trainer: what receives the weights; its optimizers stay as they are.
      source_classes: names of the classes of `generator` and `discriminator`.
      target_classes: names of the trainer's classes.

    Raises:
      ConfigError: if a weight depends on the class table other than by rows.
    """
    classes = _ClassTables(tuple(source_classes), tuple(target_classes))
    probe = build_networks(trainer.config, len(source_classes) + 1)
    _copy(generator, probe.generator, trainer.networks.generator, classes)
    if discriminator is not None:
        larger, own = probe.discriminator.parts, trainer.networks.discriminator.parts
        for name, part in discriminator.parts.items():
            _copy(part, larger[name], own[name], classes)
    trainer.start_average()


def _read(checkpoint: str, networks: dict[str, keras.Model]) -> None:
    try:
        tf.train.Checkpoint(**networks).read(checkpoint).expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError, IndexError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{checkpoint}: does not fit the networks of its run ({reason}); train it again") from error


def _copy(source: keras.Model, probe: keras.Model, target: keras.Model, classes: _ClassTables) -> None:
    """Copies weights; those that have another shape in `probe`, a network with one class more, row by row."""
    for old, larger, new in zip(source.weights, probe.weights, target.weights, strict=True):
        if old.shape == larger.shape:
            new.assign(old.numpy())
        elif _has_row_a_class(old.shape, larger.shape, len(classes.source)):
            new.assign(classes.carry_over(old.numpy()))
        else:
            raise ConfigError(
                f"{old.path} {list(old.shape)} does not have one row a class, so it cannot be carried over"
            )


def _has_row_a_class(shape: Sequence[int], larger_shape: Sequence[int], num_classes: int) -> bool:
    return shape[0] == num_classes and tuple(larger_shape) == (num_classes + 1, *shape[1:])
