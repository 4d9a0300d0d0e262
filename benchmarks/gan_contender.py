"""One contender of `benchmarks.gan_step` in a process of its own: it takes a training step for every line it reads.

    python -m benchmarks.gan_contender NAME FOLDER

Answers every step with a line of JSON: CPU seconds, losses, and the most memory that it ever held, in MB. All start
from the weights, images and random numbers of the folder, which the name `inputs` writes.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.gpu.trainings import CLASS_COUNTS, networks_of
from benchmarks.measuring import peak_megabytes, stay_on_one_core
from melgan.gans import trainer as gan_trainer
from melgan.gans.architectures import bagan_gp
from melgan.gans.architectures.filters import scaled_filters
from melgan.gans.config import GanConfig
from melgan.gans.labels import class_probabilities, wrong_labels
from melgan.gans.methods import resolve
from melgan.gans.penalties import RealAndFake
from melgan.gans.step import GanStep, Logits, Use
from melgan.gans.trainer import GanTrainer
from melgan.images import to_signed_float
from melgan.training.distribution import make_strategy
from melgan.training.randomness import Draws
from tests.melgan.gans.published_step import DiscriminatorNumbers, PublishedStep, StepNumbers
from tests.melgan.training.step_numbers import step_numbers

# Takes a step; returns discriminator loss, penalty (means over the discriminator steps) and generator loss.
Step = Callable[[int], Sequence[float]]


class EveryExample(keras.layers.Layer):
    """What `PerLabel` spares: its layers on the labels of every example."""

    def __init__(self, *layers: keras.layers.Layer, name: str) -> None:
        super().__init__(name=name)
        self.layers = layers

    def call(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns the outputs `[N, C]` for labels `[N]`."""
        for layer in self.layers:
            labels = layer(labels)
        return labels


class InARow(keras.layers.Layer):
    """What `TwoLinear` spares: the first layer, then the second."""

    def __init__(self, first: keras.layers.Dense, second: keras.layers.Dense, *, name: str) -> None:
        super().__init__(name=name)
        self.first, self.second = first, second

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, units]` for inputs `[N, C]`."""
        return self.second(self.first(inputs))


class PassForEveryLabel(GanStep):
    """Shows the real images to the discriminator once with the right labels, and once more with wrong ones."""

    def _logits(self, real_features: tf.Tensor, fake_features: tf.Tensor, shown: RealAndFake, draws: Draws) -> Logits:
        del real_features, fake_features  # which nothing else needs, so that the graph leaves them out
        of_real = self.discriminator.with_dropout(draws.fold(Use.REAL_DROPOUT))
        of_fake = self.discriminator.with_dropout(draws.fold(Use.FAKE_DROPOUT))
        others = wrong_labels(draws.fold(Use.WRONG_LABELS), shown.real_labels, self.num_classes)
        real = of_real(shown.real_images, shown.real_labels)
        fake = of_fake(shown.fake_images, shown.fake_labels)
        return Logits(real, fake, of_real(shown.real_images, others), taken_for_real=real)


# What of bagan_gp is replaced by the plain thing, and what makes the losses.
VARIANTS: dict[str, tuple[dict[str, type], type[GanStep]]] = {
    "ours": ({}, GanStep),
    "without LeakyReLU": ({"LeakyReLU": keras.layers.LeakyReLU}, GanStep),
    "without PerLabel": ({"PerLabel": EveryExample}, GanStep),
    "without TwoLinear": ({"TwoLinear": InARow}, GanStep),
    "without a shared pass": ({}, PassForEveryLabel),
    "without any": (
        {"LeakyReLU": keras.layers.LeakyReLU, "PerLabel": EveryExample, "TwoLinear": InARow},
        PassForEveryLabel,
    ),
}


def main(name: str, folder: Path) -> None:
    """Takes steps as asked for on standard input."""
    settings = json.loads((folder / "settings.json").read_text())
    if name == "inputs":
        write_inputs(folder / "inputs.npz", settings)
        return
    with np.load(folder / "inputs.npz") as file:
        inputs = dict(file)
    take_step = ours(VARIANTS[name], settings, inputs) if name in VARIANTS else published(name, settings, inputs)
    for step, _ in enumerate(sys.stdin):
        start = time.process_time()
        losses = [float(loss) for loss in take_step(step)]
        answer = {"seconds": time.process_time() - start, "losses": losses, "megabytes": peak_megabytes()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def make_trainer(settings: dict) -> GanTrainer:
    """Returns a trainer of BAGAN-GP at 64 px; `settings` are fields of GanConfig."""
    return GanTrainer(
        resolve(GanConfig(image_size=64, xla="off", **settings["gan"])), CLASS_COUNTS, make_strategy("one_device")
    )


def ours(variant: tuple[dict[str, type], type[GanStep]], settings: dict, inputs: dict[str, np.ndarray]) -> Step:
    """Returns a step of the trainer, or of one with something replaced."""
    replaced, gan_step = variant
    for name, layer in replaced.items():
        setattr(bagan_gp, name, layer)
    gan_trainer.GanStep = gan_step
    trainer = make_trainer(settings)
    if type(trainer.step_at()) is not gan_step:
        raise AssertionError(f"the trainer does not take its losses from {gan_step.__name__}")
    for name, network in networks_of(trainer).items():
        network.set_weights([inputs[f"{name}_{number}"] for number in range(len(network.weights))])
    batch = {"image": inputs["images"], "label": inputs["labels"]}
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    program, _ = trainer.program_at(0)

    def take_step(step: int) -> Sequence[float]:
        values = program(batches, tf.constant(step, tf.int64), tf.constant(1, tf.int64))
        return [values[name][0] for name in ("discriminator_loss", "penalty", "generator_loss")]

    return take_step


def published(name: str, settings: dict, inputs: dict[str, np.ndarray]) -> Step:
    """Returns the published step, run operation by operation or, as `published, one tf.function`, compiled."""
    width = settings["gan"].get("width", 1.0)
    filters = [scaled_filters(number, width) for number in (64, 128, 128, 256)]
    label_units = scaled_filters(512, width)
    step_of = PublishedStep(len(CLASS_COUNTS), filters=filters, label_units=label_units)
    weights = {
        part: [inputs[f"{part}_{number}"] for number in range(sum(key.startswith(f"{part}_") for key in inputs))]
        for part in ("generator", "trunk", "head")
    }
    step_of.set_weights(weights["generator"], weights["trunk"] + weights["head"])
    train_step = tf.function(step_of.train_step) if name == "published, one tf.function" else step_of.train_step
    images, labels = to_signed_float(tf.constant(inputs["images"])), tf.constant(inputs["labels"])

    def take_step(step: int) -> Sequence[float]:
        numbers = _unpack(inputs, step, settings["gan"]["disc_steps"])
        return [np.mean(values) for values in train_step(images, labels, numbers)]

    return take_step


def write_inputs(path: Path, settings: dict) -> None:
    """Writes the first weights, one batch of random images, and the random numbers of every step."""
    trainer = make_trainer(settings)
    size = trainer.config.global_batch_size
    rng = np.random.default_rng(0)
    labels = rng.integers(0, len(CLASS_COUNTS), size).astype(np.int32)
    arrays = {"images": rng.integers(0, 256, (size, 64, 64, 3)).astype(np.uint8), "labels": labels}
    for name, network in networks_of(trainer).items():
        arrays |= {f"{name}_{number}": weight for number, weight in enumerate(network.get_weights())}
    probabilities = class_probabilities(CLASS_COUNTS, trainer.config.label_sampling)
    for step in range(settings["steps"]):
        numbers = step_numbers(trainer, step, labels, probabilities)
        arrays |= {f"numbers_{step}_{place}": value for place, value in enumerate(tf.nest.flatten(numbers))}
    np.savez(path, **arrays)


def _unpack(inputs: dict[str, np.ndarray], step: int, disc_steps: int) -> StepNumbers:
    """Returns the random numbers of a step."""
    discriminator = [DiscriminatorNumbers(*range(4 * first, 4 * first + 4)) for first in range(disc_steps)]
    places = StepNumbers(discriminator, 4 * disc_steps, 4 * disc_steps + 1)
    return tf.nest.map_structure(lambda place: tf.constant(inputs[f"numbers_{step}_{place}"]), places)


if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    stay_on_one_core()
    main(sys.argv[1], Path(sys.argv[2]))
