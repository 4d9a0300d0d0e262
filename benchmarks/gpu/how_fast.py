"""How fast a GPU trains, predicts and is fed: against the published step, and against the ceilings of the card.

BAGAN-GP at published widths, 64 px: ours by precision and XLA, and the transcription of the published step; other
methods; classifiers in training and prediction; features of InceptionV3; the input pipeline. One part after the other.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks import gan_contender
from benchmarks.gpu.ceilings import PRECISIONS, ceilings, measured_ceilings
from benchmarks.gpu.measurements import Measurements, Part, forget_peak, main, median_seconds, peak_megabytes
from benchmarks.gpu.roofline import floor_seconds, works_of
from benchmarks.gpu.trainings import CLASS_COUNTS, Steps, make_trainer, noisy_ramps
from melgan.classifiers.augmentation import AUGMENTATIONS
from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.trainer import ClassifierTrainer
from melgan.metrics import extractors
from melgan.metrics.fid import frechet_distance
from melgan.training.distribution import make_strategy
from tests.melgan.gans.published_step import DiscriminatorNumbers, PublishedStep, StepNumbers
from tfrecords_tools.example import Example
from tfrecords_tools.images import encode_jpeg
from tfrecords_tools.reading import training_batches
from tfrecords_tools.shards import write_examples
from tfrecords_tools.streams import ShardSet, Stream

_BATCH, _DISC_STEPS = 128, 5
_SECONDS_A_ROUND, _ROUNDS = 1.0, 3


def bagan_gp(measurements: Measurements) -> None:
    """Ours: what users get first, then other precisions and batches, and without XLA."""
    cells = [
        ("auto", "float16", _BATCH),
        ("auto", "tf32", _BATCH),
        ("off", "tf32", _BATCH),
        ("auto", "float16", 512),
        ("auto", "bfloat16", _BATCH),
        ("off", "float16", _BATCH),
        ("auto", "float16", 1024),
        ("auto", "float32", _BATCH),
    ]
    for xla, precision, batch in cells:
        if not measurements.late:
            _time_steps(measurements, "bagan_gp", xla, precision, batch)


def published(measurements: Measurements) -> None:
    """The transcription of the published step, in float32 as published."""
    batch, classes = (4 if measurements.tiny else _BATCH), len(CLASS_COUNTS)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(-1, 1, (batch, 64, 64, 3)), tf.float32)
    labels, numbers = _labels(rng, batch), _step_numbers(rng, batch)
    for how, tf32 in (("nothing compiled", True), ("one tf.function", True), ("one tf.function", False)):
        if measurements.late:
            return
        with measurements.line(f"published step, 64 px, batch {batch}, 5 + 1 steps", how=how, tf32=tf32) as line:
            tf.config.experimental.enable_tensor_float_32_execution(tf32)
            size = {"filters": (8, 8, 8, 8), "label_units": 8} if measurements.tiny else {}
            step_of = PublishedStep(classes, **size)
            step = step_of.train_step if how == "nothing compiled" else tf.function(step_of.train_step)
            line["first_s"] = _first_call(lambda step=step: step(images, labels, numbers))
            seconds, spread = median_seconds(lambda step=step: step(images, labels, numbers), rounds=_ROUNDS)
            line |= _rates(seconds, spread, batch)


def equal_results(measurements: Measurements) -> None:
    """Losses of three steps of ours and of the published one, on the same weights, images and random numbers."""
    size = {"width": 1.0, "global_batch_size": _BATCH, "disc_steps": _DISC_STEPS}
    if measurements.tiny:
        size = {"width": 0.1, "global_batch_size": 4, "disc_steps": 2}
    settings = {"gan": size | {"ema_decay": 0.0, "precision": "float32"}, "steps": 3}
    with tempfile.TemporaryDirectory() as folder:
        gan_contender.write_inputs(Path(folder) / "inputs.npz", settings)
        with np.load(Path(folder) / "inputs.npz") as file:
            inputs = dict(file)
    for precision in ("float32", "tf32"):
        with measurements.line("bagan_gp and the published step, same numbers, 3 steps", precision=precision) as line:
            tf.config.experimental.enable_tensor_float_32_execution(PRECISIONS[precision][1])
            own = gan_contender.ours(gan_contender.VARIANTS["ours"], settings, inputs)
            rival = gan_contender.published("published, one tf.function", settings, inputs)
            pairs = [(np.float64(own(step)), np.float64(rival(step))) for step in range(3)]
            line["relative_differences"] = [float(np.max(np.abs(a - b) / np.abs(b))) for a, b in pairs]


def other_methods(measurements: Measurements) -> None:
    """Other methods, as users get them."""
    for method, size in (("r3gan", 64), ("sagan", 64), ("progan", 64), ("r3gan", 128), ("sagan", 128), ("progan", 128)):
        if not measurements.late:
            _time_steps(measurements, method, "auto", "float16", _BATCH, image_size=size)


def classifiers(measurements: Measurements) -> None:
    """Training steps and predictions of 8 views; the classifier's trainer has neither precision nor XLA of its own."""
    size, batch = (32, 4) if measurements.tiny else (256, 64)
    for backbone in ("efficientnet_b0", "efficientnet_b4", "efficientnet_v2_s"):
        if not measurements.late:
            _time_classifier(measurements, ClassifierConfig(backbone=backbone, image_size=size, batch_size=batch))


def features(measurements: Measurements) -> None:
    """Features of InceptionV3 as evaluation computes them, and compiled in larger batches; a Fréchet distance."""
    count = 4 if measurements.tiny else 2048
    images = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3)).astype(np.uint8)
    with measurements.line("InceptionV3, as evaluation does", images=count) as line:
        extractor = extractors.random("")
        extractor.extract(images[:32])
        started = time.perf_counter()
        extractor.extract(images)
        line["images_per_s"] = count / (time.perf_counter() - started)
    network = keras.applications.InceptionV3(weights=None)
    both = keras.Model(network.input, [network.get_layer("avg_pool").output, network.output])
    for batch, xla in ((32, False), (256, False), (256, True)):
        if measurements.late:
            return
        batch = min(batch, count)
        with measurements.line("InceptionV3, one program", batch=batch, xla=xla) as line:
            program = tf.function(
                lambda part: both(extractors.resize(part, 299) / 127.5 - 1.0, training=False),
                jit_compile=xla,
                autograph=False,
            )
            part = tf.constant(images[:batch])
            seconds, spread = median_seconds(lambda program=program, part=part: program(part), rounds=_ROUNDS)
            line |= {"images_per_s": batch / seconds, "spread": spread}
    with measurements.line("Fréchet distance of 2,048 features, on the processor") as line:
        width = 64 if measurements.tiny else 2048
        real, fake = np.random.default_rng(0).standard_normal((2, width + 1, width)).astype(np.float32)
        started = time.perf_counter()
        frechet_distance(real, fake)
        line["seconds"] = time.perf_counter() - started


def input_pipeline(measurements: Measurements) -> None:
    """Images a second that the processors read, decode and augment, of shards of noise over a ramp."""
    count, sides = (16, (64,)) if measurements.tiny else (2048, (64, 256, 512))
    with tempfile.TemporaryDirectory() as folder:
        for side in sides:
            shards = _write_shards(Path(folder), side, count)
            for augmentation in (None, "dihedral_colour"):
                asked = min(side, 256)
                what = f"reading {side} px as batches of {asked} px"
                if measurements.late:
                    return
                with measurements.line(what, augmentation=augmentation) as line:
                    line["images_per_s"] = _reading_rate(shards, asked, augmentation, tiny=measurements.tiny)


PARTS = {
    "ceilings": Part(ceilings, 40),
    "bagan_gp": Part(bagan_gp, 200),
    "published": Part(published, 60),
    "equal": Part(equal_results, 60),
    "classifiers": Part(classifiers, 120),
    "others": Part(other_methods, 150),
    "features": Part(features, 60),
    "reading": Part(input_pipeline, 50),
}


def _time_steps(measurements: Measurements, method: str, xla: str, precision: str, batch: int, **settings: Any) -> None:
    if measurements.tiny:
        batch, settings = 4, settings | {"width": 0.1}
    size = settings.get("image_size", 64)
    with measurements.line(f"{method}, {size} px, batch {batch}", xla=xla, precision=precision) as line:
        dtype, tf32 = PRECISIONS[precision]
        tf.config.experimental.enable_tensor_float_32_execution(tf32)
        trainer = make_trainer(method, xla=xla, precision=dtype, global_batch_size=batch, **settings)
        steps = Steps(trainer)
        line |= _time_calls(steps.take, batch)
        line["parameters"] = trainer.networks.generator.count_params()
        known = measured_ceilings(measurements, precision)
        if known:
            floor = floor_seconds(works_of(steps.graph), **known, bytes_each=tf.as_dtype(dtype).size)
            line |= {"floor_ms": 1e3 * floor, "fraction_of_roofline": 1e3 * floor / line["ms"]}


def _time_classifier(measurements: Measurements, config: ClassifierConfig) -> None:
    with measurements.line(f"{config.backbone}, {config.image_size} px, batch {config.batch_size}") as line:
        trainer = ClassifierTrainer(config, (8, 8), 1000, make_strategy("one_device"))
        data = _classifier_batch(config.batch_size, config.image_size)
        batches = iter(tf.data.Dataset.from_tensors(data).repeat())
        program, _ = trainer.program_at(0)
        first = tf.constant(0, tf.int64)
        line |= _time_calls(lambda count: program(batches, first, tf.constant(count, tf.int64)), config.batch_size)
        predictor = trainer.predictor(views=8)
        seconds, _ = median_seconds(lambda: predictor.predict([{"image": data["image"]}]), rounds=_ROUNDS)
        line["predicted_images_per_s_8_views"] = config.batch_size / seconds


def _time_calls(take: Callable[[int], dict[str, Any]], batch: int) -> dict[str, Any]:
    """Returns what steps take that `take(count)` takes in one call, after the first three."""
    line = {"first_s": _first_call(lambda: take(1))}
    forget_peak()
    started = time.perf_counter()
    _wait(take(2))
    count = max(1, int(_SECONDS_A_ROUND * 2 / (time.perf_counter() - started)))
    seconds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        metrics = _wait(take(count))
        seconds.append((time.perf_counter() - started) / count)
    middle = statistics.median(seconds)
    line |= _rates(middle, (max(seconds) - min(seconds)) / middle, batch)
    line["finite"] = all(bool(np.isfinite(values).all()) for values in metrics.values())
    if "skipped_steps" in metrics:
        line["skipped_steps"] = float(np.sum(metrics["skipped_steps"]))
    return line


def _wait(metrics: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(values) for name, values in metrics.items()}


def _first_call(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    tf.nest.map_structure(np.asarray, run())
    return round(time.perf_counter() - started, 1)


def _rates(seconds: float, spread: float, batch: int) -> dict[str, Any]:
    return {"ms": 1e3 * seconds, "spread": spread, "images_per_s": batch / seconds, "peak_MB": peak_megabytes()}


def _labels(rng: np.random.Generator, batch: int) -> tf.Tensor:
    return tf.constant(rng.integers(0, len(CLASS_COUNTS), batch), tf.int32)


def _step_numbers(rng: np.random.Generator, batch: int) -> StepNumbers:
    def latents() -> tf.Tensor:
        return tf.constant(rng.standard_normal((batch, 128)), tf.float32)

    discriminator = [
        DiscriminatorNumbers(
            latents(),
            _labels(rng, batch),
            _labels(rng, batch),
            tf.constant(rng.uniform(size=(batch, 1, 1, 1)), tf.float32),
        )
        for _ in range(_DISC_STEPS)
    ]
    return StepNumbers(discriminator, latents(), _labels(rng, batch))


def _classifier_batch(batch: int, size: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    names = ("age_approx", "sex", "anatom_site_general_challenge", "diagnosis")
    targets = np.eye(2, dtype=np.float32)[rng.integers(0, 2, batch)]
    images = rng.integers(0, 256, (batch, size, size, 3)).astype(np.uint8)
    return {name: np.full(batch, -1, np.int32) for name in names} | {"image": images, "targets": targets}


def _write_shards(folder: Path, side: int, count: int) -> ShardSet:
    jpegs = [encode_jpeg(image, quality=95) for image in noisy_ramps(np.random.default_rng(0), 32, side)]
    examples = (Example(image=jpegs[n % 32], image_name=str(n), target=n % 2) for n in range(count))
    entry = write_examples(folder, f"train{side}", 0, examples, 2)
    return ShardSet((str(folder / entry.file),), entry.records, side)


def _reading_rate(shards: ShardSet, image_size: int, augmentation: str | None, *, tiny: bool) -> float:
    batch = 8 if tiny else 64
    dataset = training_batches(
        [Stream(shards)],
        num_classes=2,
        image_size=image_size,
        global_batch_size=batch,
        seed=0,
        augment=None if augmentation is None else AUGMENTATIONS[augmentation],
    )
    iterator = iter(dataset)
    for _ in range(4):
        next(iterator)
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < 2.5:
        next(iterator)
        steps += 1
    return batch * steps / (time.perf_counter() - started)


if __name__ == "__main__":
    main("benchmarks.gpu.how_fast", PARTS)
