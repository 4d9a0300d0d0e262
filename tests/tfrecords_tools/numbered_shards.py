"""Shards whose records are numbered, and batches of them, that tests of reading share."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.tfrecords_tools.tiny_shards import encoded, plain
from tfrecords_tools.example import Example
from tfrecords_tools.manifest import Manifest
from tfrecords_tools.reading import training_batches
from tfrecords_tools.shards import write_examples
from tfrecords_tools.streams import ShardSet, Stream, shard_set

SIDE, BATCH = 8, 4


def write_set(folder: Path, split: str, first: int, sizes: tuple[int, ...], labelled: bool = True) -> ShardSet:
    """Writes records numbered from `first`: the number is the record's age and the grey of its image."""
    folder.mkdir()
    entries = []
    for index, size in enumerate(sizes):
        numbers = range(first, first + size)
        first += size
        examples = [
            Example(
                image=encoded(plain(number, (SIDE, SIDE)), quality=95),
                image_name=f"image {number}",
                metadata={"patient_id": number // 3, "age_approx": number},
                target=number % 2 if labelled else -1,
                width=SIDE,
                height=SIDE,
            )
            for number in numbers
        ]
        entries.append(write_examples(folder, split, index, examples, num_classes=2))
    manifest = Manifest(
        source=split,
        source_fingerprint="",
        folds_fingerprint="",
        classes=("benign", "malignant"),
        image_size=SIDE,
        encoder={},
        shards=tuple(entries),
    )
    return shard_set(folder, manifest, manifest.split(split))


def batches_of(streams: list[Stream], **settings) -> tf.data.Dataset:
    settings = {"num_classes": 2, "image_size": SIDE, "global_batch_size": BATCH, "seed": 0, **settings}
    return training_batches(streams, **settings)


def read(shards: ShardSet, steps: int, *others: Stream, **settings) -> list[dict]:
    """Returns batches of shards, mixed with other streams."""
    fraction = 1 - sum(stream.fraction for stream in others)
    mixed = [Stream(shards=shards, fraction=fraction), *others]
    return list(batches_of(mixed, **settings).take(steps).as_numpy_iterator())


def numbers(batches: list[dict]) -> list[int]:
    return np.concatenate([batch["age_approx"] for batch in batches]).tolist()


def noisy(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return image + tf.cast(tf.random.stateless_uniform(image.shape, seed, 0, 100, tf.int32), tf.uint8)
