"""Shards -> tf.data: static shapes, an order that any number of workers shares, mixing of real and synthetic.

The order is a function of (seed, epoch) alone: shard files are shuffled and read interleaved, and their records are
shuffled in windows. `Dataset.shuffle` is not used, because its order also depends on the process's global seed.
Records are skipped, sliced among workers and mixed while they are still serialized, so a resumed run and a run on
more workers see the batches of an undisturbed run on one. Only then are images decoded and augmented, each with a
seed of its own. Images stay uint8 `[N, H, W, 3]`.
"""

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace

import tensorflow as tf

from tfrecords_tools.example import BOXES_FEATURE, MISSING
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.manifest import Manifest, ShardEntry

SHUFFLE_WINDOW = 8192
_CYCLE_LENGTH = 16

METADATA_FEATURES = ("sex", "age_approx", "anatom_site_general_challenge", "diagnosis")

# (image uint8 [H, W, 3], seed int64 [2]) -> image uint8 [H, W, 3]
Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class ShardSet:
    """Shards to read together: their paths, how many records they hold, and the side of their images in pixels."""

    paths: tuple[str, ...]
    num_records: int
    stored_size: int


def shard_set(folder: AnyPath, manifest: Manifest, shards: Sequence[ShardEntry]) -> ShardSet:
    """Returns the shards of a folder as a set to read."""
    paths = tuple(str(folder / shard.file) for shard in shards)
    return ShardSet(paths, sum(shard.records for shard in shards), manifest.image_size)


def join(sets: Sequence[ShardSet]) -> ShardSet | None:
    """Returns the shards of several sets as one, None if there are none; images of mixed sizes count as size 0."""
    if not sets:
        return None
    sizes = {shards.stored_size for shards in sets}
    paths = tuple(path for shards in sets for path in shards.paths)
    return ShardSet(paths, sum(shards.num_records for shards in sets), sizes.pop() if len(sizes) == 1 else 0)


def training_batches(
    real: ShardSet,
    *,
    image_size: int,
    global_batch_size: int,
    seed: int,
    synthetic: ShardSet | None = None,
    synthetic_fraction: float = 0.0,
    class_counts: Sequence[int] | None = None,
    start_step: int = 0,
    num_workers: int = 1,
    worker: int = 0,
    num_replicas: int = 1,
    augment: Augment | None = None,
    max_boxes: int = 0,
) -> tf.data.Dataset:
    """Yields endless shuffled batches for one worker.

    Each is `{"image": uint8 [B, H, W, 3], "label": int32 [B]}` with the features of `METADATA_FEATURES`, int32 `[B]`,
    and with `max_boxes` also `"boxes": float32 [B, max_boxes, 4]`.

    Arguments:
      real: shards to read.
      image_size: H and W of the batches; stored images of another size are resized by area.
      global_batch_size: images a step, over all replicas.
      seed: of the order and the augmentation.
      synthetic: shards to mix in, if `synthetic_fraction` is not 0.
      synthetic_fraction: share of synthetic images in [0, 1), kept in every stretch of the stream.
      class_counts: real images of each class; given, the real images of every batch are as many of each class that has
        any, to within one, and equally many over as many batches as there are classes.
      start_step: the step to go on with.
      num_workers, worker: this worker takes the `worker`-th slice of every global batch.
      num_replicas: in all workers together; B is `global_batch_size / num_replicas`.
      augment: applied to every decoded image.
      max_boxes: how many boxes of each image are read, the largest first: x_min, y_min, x_max, y_max as shares of the
        sides in [0, 1], and zeros where there are fewer.

    Raises:
      ValueError: if boxes are asked for beside an augmentation, which they would not follow.
    """
    if augment is not None and max_boxes:
        raise ValueError(f"max_boxes is {max_boxes}; it must be 0 with an augmentation, which moves the image only")
    start = start_step * global_batch_size
    sizes = {shards.stored_size for shards in (real, synthetic) if shards is not None}

    def real_records(first: int) -> tf.data.Dataset:
        if class_counts is None:
            return _endless_records(real, seed, first)
        return _balanced_records(real, class_counts, seed, first)

    if synthetic_fraction:
        records = _mixed_records(real_records, synthetic, synthetic_fraction, seed, start)
    else:
        records = real_records(start)
    numbered = records.enumerate(start=start)
    if num_workers > 1:
        share = global_batch_size // num_workers
        numbered = numbered.filter(lambda number, record: number % global_batch_size // share == worker)

    def decode(number: tf.Tensor, record: tf.Tensor) -> dict[str, tf.Tensor]:
        example = _parse(record, max_boxes)
        del example["image_name"], example["patient_id"]
        image = _decode_image(example["image"], image_size, sizes)
        if augment is not None:
            image = tf.ensure_shape(augment(image, tf.stack([tf.constant(seed, tf.int64), number])), image.shape)
        return {**example, "image": image}

    decoded = numbered.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return decoded.batch(global_batch_size // num_replicas, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(shards: ShardSet, *, image_size: int, batch_size: int, max_boxes: int = 0) -> tf.data.Dataset:
    """Yields every record once, in stored order, with its name, patient code and label (`MISSING` in test shards).

    `{"image": uint8 [B, H, W, 3], "label": int32 [B], "patient_id": int64 [B], "image_name": string [B]}`; the last
    batch may be shorter. With `max_boxes` there are `"boxes"` as in `training_batches`.
    """
    records = tf.data.TFRecordDataset(list(shards.paths))

    def decode(record: tf.Tensor) -> dict[str, tf.Tensor]:
        example = _parse(record, max_boxes)
        return {**example, "image": _decode_image(example["image"], image_size, {shards.stored_size})}

    decoded = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return decoded.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _endless_records(
    shards: ShardSet, seed: int, start: int, read: Callable[[tf.Tensor], tf.data.Dataset] = tf.data.TFRecordDataset
) -> tf.data.Dataset:
    """Yields serialized records from record number `start` of the endless, per-epoch shuffled stream.

    `read` gives those of a file that are in the stream; `shards` counts no others.
    """
    first_epoch, skipped = divmod(start, shards.num_records)
    paths = tf.constant(shards.paths)
    window = min(shards.num_records, SHUFFLE_WINDOW)

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        epoch_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(paths, seed=epoch_seed)
        files = tf.data.Dataset.from_tensor_slices(order)
        windows = files.interleave(read, cycle_length=_CYCLE_LENGTH).batch(window).enumerate()
        return windows.map(lambda number, records: _shuffled(records, epoch_seed, number)).unbatch()

    return tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(one_epoch).skip(skipped)


def _shuffled(records: tf.Tensor, epoch_seed: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    seed = tf.random.experimental.stateless_fold_in(epoch_seed, window)
    return tf.random.experimental.stateless_shuffle(records, seed=seed)


def _balanced_records(shards: ShardSet, class_counts: Sequence[int], seed: int, start: int) -> tf.data.Dataset:
    """Yields serialized records, of the classes that have any in turns: number i is of class i modulo their number.

    Every class is a stream of its own, which reads through all shards.
    """
    counts = {label: count for label, count in enumerate(class_counts) if count}
    streams = [
        _endless_records(
            replace(shards, num_records=count),
            seed,
            (start + len(counts) - 1 - turn) // len(counts),
            _reader_of_class(label),
        )
        for turn, (label, count) in enumerate(counts.items())
    ]
    turns = tf.data.Dataset.range(start, tf.int64.max).map(lambda number: number % len(counts))
    return tf.data.Dataset.choose_from_datasets(streams, turns)


def _reader_of_class(label: int) -> Callable[[tf.Tensor], tf.data.Dataset]:
    return lambda path: tf.data.TFRecordDataset(path).filter(lambda record: _label(record) == label)


def _mixed_records(
    real_records: Callable[[int], tf.data.Dataset],
    synthetic: ShardSet,
    synthetic_fraction: float,
    seed: int,
    start: int,
) -> tf.data.Dataset:
    """Yields serialized records, number i synthetic where floor(i f) steps up: evenly spread, and cheap to resume."""
    synthetic_before = math.floor(start * synthetic_fraction)
    streams = [
        real_records(start - synthetic_before),
        _endless_records(synthetic, seed + 1, synthetic_before),
    ]

    def choose(number: tf.Tensor) -> tf.Tensor:
        number = tf.cast(number, tf.float64)
        steps = tf.floor((number + 1) * synthetic_fraction) - tf.floor(number * synthetic_fraction)
        return tf.cast(steps, tf.int64)

    choices = tf.data.Dataset.range(start, tf.int64.max).map(choose)
    return tf.data.Dataset.choose_from_datasets(streams, choices)


def _label(record: tf.Tensor) -> tf.Tensor:
    target = tf.io.FixedLenFeature([], tf.int64, default_value=tf.constant(MISSING, tf.int64))
    return tf.io.parse_single_example(record, {"target": target})["target"]


def _parse(record: tf.Tensor, max_boxes: int) -> dict[str, tf.Tensor]:
    """Reads the features that every stage needs, from our shards or the public ones, with or without a target."""
    missing = tf.constant(MISSING, tf.int64)
    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "image_name": tf.io.FixedLenFeature([], tf.string, default_value=""),
    }
    for name in ("patient_id", "target", *METADATA_FEATURES):
        features[name] = tf.io.FixedLenFeature([], tf.int64, default_value=missing)
    if max_boxes:
        features[BOXES_FEATURE] = tf.io.FixedLenSequenceFeature([4], tf.float32, allow_missing=True)
    example = tf.io.parse_single_example(record, features)
    if max_boxes:
        example[BOXES_FEATURE] = _padded(example[BOXES_FEATURE], max_boxes)
    example["label"] = example.pop("target")
    for name in ("label", *METADATA_FEATURES):
        example[name] = tf.cast(example[name], tf.int32)
    return example


def _padded(boxes: tf.Tensor, max_boxes: int) -> tf.Tensor:
    """Returns the first boxes of `[M, 4]` as `[max_boxes, 4]`, with zeros where there are fewer."""
    boxes = boxes[:max_boxes]
    return tf.ensure_shape(tf.pad(boxes, [[0, max_boxes - tf.shape(boxes)[0]], [0, 0]]), (max_boxes, 4))


def _decode_image(data: tf.Tensor, image_size: int, stored_sizes: Set[int]) -> tf.Tensor:
    """Decodes at the smallest scale that leaves nothing to enlarge, and resizes by area what then has another size."""
    scale = _decode_scale(min(stored_sizes), image_size)
    image = tf.io.decode_jpeg(data, channels=3, ratio=scale)
    if stored_sizes != {image_size * scale}:
        image = tf.image.resize(image, (image_size, image_size), method="area")
        image = tf.cast(tf.round(image), tf.uint8)
    return tf.ensure_shape(image, (image_size, image_size, 3))


def _decode_scale(stored_size: int, image_size: int) -> int:
    """Returns by how much JPEG decoding may shrink; 1 where the stored sizes are mixed, that is 0."""
    return max(scale for scale in (1, 2, 4, 8) if scale == 1 or stored_size >= scale * image_size)
