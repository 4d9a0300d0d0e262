"""A training step of a classifier against `keras.Model.fit`, the loop around it, and what decoding would allow."""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.looping import bare_steps, draw_shards, loop_seconds, use_one_thread
from benchmarks.measuring import Measurement, cpu_seconds, print_measurements, stay_on_one_core
from benchmarks.photos import draw_photo
from benchmarks.reading import decoding_alone
from melgan.classifiers.augmentation import AUGMENTATIONS
from melgan.classifiers.auxiliary import NUM_OUTPUTS
from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.network import build_classifier
from melgan.classifiers.trainer import ClassifierTrainer
from melgan.training.distribution import make_strategy
from tfrecords_tools.foundation.metadata import MISSING, PROPERTIES
from tfrecords_tools.images import encode_jpeg
from tfrecords_tools.reading import training_batches
from tfrecords_tools.streams import ShardSet, Stream

_CLASS_COUNTS = (1, 1)
_TOTAL_STEPS = 1000
_CHEAP = "small_cnn"
_LOOP_STEPS = 10


def measure(
    *,
    backbone: str = "efficientnet_b0",
    sizes: Sequence[int] = (128, 224),
    batch_size: int = 32,
    images: int = 500,
    steps: int = 2,
    rounds: int = 3,
) -> list[Measurement]:
    """Returns time against fit, overhead of the loop and images per second at several sizes.

    Arguments:
      backbone: the network.
      sizes: sides of the images in pixels.
      batch_size: images a step.
      images: how many are drawn for the shards; at least 100.
      steps: how many each contender takes in a round.
      rounds: how many are timed, after one that is not.
    """
    use_one_thread()
    return [row for size in sizes for row in _measure(backbone, size, batch_size, images, steps, rounds)]


def _measure(backbone: str, size: int, batch_size: int, images: int, steps: int, rounds: int) -> list[Measurement]:
    config = ClassifierConfig(backbone=backbone, image_size=size, batch_size=batch_size, xla="off")
    batch = _batch(config)
    contenders = {"ours": bare_steps(_trainer(config), batch, steps), "fit": _fit(config, batch, steps)}
    seconds = cpu_seconds(contenders, rounds)
    ratio = statistics.median(np.divide(seconds["ours"], seconds["fit"]))
    ours, fit = (statistics.median(seconds[name]) / steps for name in contenders)
    del contenders
    keras.backend.clear_session()
    overhead = _overhead(config, images, rounds)
    limit = _decoding_rate(size, batch_size, rounds)
    what = f"{backbone}, {size} px, batch {batch_size}"
    return [
        Measurement(
            what=f"{what}, a step",
            ours=f"{ours:.2f} s",
            rival=f"keras.Model.fit: {fit:.2f} s",
            value=ratio,
            unit="of its time",
            at_most=1.0,
        ),
        Measurement(
            what=f"{what}, loop and input pipeline",
            ours=f"{1000 * overhead:.0f} ms a step",
            rival=f"the same step on a batch in memory: {ours:.2f} s",
            value=100 * max(overhead, 0.0) / ours,
            unit="% of a step",
            at_most=5,
        ),
        Measurement(
            what=f"{what}, images trained on",
            ours=f"{batch_size / ours:.1f}/s",
            rival=f"limit: tf.data decoding alone, from memory: {limit:.0f}/s",
            value=batch_size / ours,
            unit="images/s",
        ),
    ]


def _trainer(config: ClassifierConfig) -> ClassifierTrainer:
    return ClassifierTrainer(config, _CLASS_COUNTS, _TOTAL_STEPS, make_strategy("one_device"))


def _batch(config: ClassifierConfig) -> dict[str, np.ndarray]:
    size, side = config.batch_size, config.image_size
    batch = {name: np.full(size, MISSING, np.int32) for name in PROPERTIES}
    batch["image"] = np.random.default_rng(0).integers(0, 256, (size, side, side, 3)).astype(np.uint8)
    return batch | {"targets": np.eye(2, dtype=np.float32)[np.arange(size) % 2]}


def _fit(config: ClassifierConfig, batch: dict[str, np.ndarray], steps: int) -> Callable[[], object]:
    """Returns what takes steps by fit; one is taken before."""
    model = build_classifier(config, len(_CLASS_COUNTS))
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, _TOTAL_STEPS)
    of_class = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing)
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay),
        loss=[of_class, keras.losses.BinaryCrossentropy(from_logits=True)],
        loss_weights=[1.0, config.auxiliary_weight],
        jit_compile=False,
    )
    targets = (batch["targets"], np.zeros((config.batch_size, NUM_OUTPUTS), np.float32))
    batches = tf.data.Dataset.from_tensors((batch["image"], targets)).repeat()
    model.fit(batches, steps_per_epoch=1, verbose=0)
    return lambda: model.fit(batches, steps_per_epoch=steps, verbose=0)


def _overhead(config: ClassifierConfig, images: int, rounds: int) -> float:
    """Returns the CPU seconds a step that loop and pipeline cost, measured around a network that is cheap."""
    cheap = ClassifierConfig(backbone=_CHEAP, image_size=config.image_size, batch_size=config.batch_size, xla="off")
    trainer = _trainer(cheap)
    bare = cpu_seconds({"bare": bare_steps(trainer, _batch(cheap), _LOOP_STEPS)}, rounds)["bare"]
    with tempfile.TemporaryDirectory() as folder:
        shards = draw_shards(Path(folder) / "shards", images, config.image_size)
        batches = partial(_batches, shards, cheap)
        loop = [loop_seconds(trainer, batches, Path(folder), _LOOP_STEPS, _LOOP_STEPS) for _ in range(rounds)]
    return statistics.median(loop) - statistics.median(bare) / _LOOP_STEPS


def _batches(shards: ShardSet, config: ClassifierConfig, first_batch: int) -> tf.data.Dataset:
    return training_batches(
        [Stream(shards=shards)],
        num_classes=len(_CLASS_COUNTS),
        image_size=config.image_size,
        global_batch_size=config.batch_size,
        seed=0,
        start_step=first_batch,
        augment=AUGMENTATIONS[config.augmentation],
    )


def _decoding_rate(size: int, batch_size: int, rounds: int) -> float:
    """Returns the images per CPU second of decoding alone, of photographs that are stored at the size asked for."""
    jpegs = [encode_jpeg(draw_photo(size, size, seed), quality=95) for seed in range(4)]
    count = 8
    batches = decoding_alone(jpegs, batch_size, ratio=1).take(count)
    seconds = cpu_seconds({"limit": lambda: sum(1 for _ in batches)}, rounds)["limit"]
    return count * batch_size / statistics.median(seconds)


if __name__ == "__main__":
    stay_on_one_core()
    print_measurements(measure())
