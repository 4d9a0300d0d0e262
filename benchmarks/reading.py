"""Reading shards back: CPU time against webdataset on the same JPEG bytes, and against decoding alone.

What makes ours fast: DCT scaling in the decoder (`ratio` of `tf.io.decode_jpeg`) where the stored images are at least
twice the size asked for, uint8 all the way, and no copies of serialized records for the sake of slicing.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
import webdataset
from PIL import Image

from benchmarks.measuring import (
    Measurement,
    cpu_seconds,
    per_second,
    print_measurements,
    stay_on_one_core,
    times_faster,
)
from benchmarks.photos import draw_photo
from tfrecords_tools.example import Example
from tfrecords_tools.images import encode_jpeg
from tfrecords_tools.reading import training_batches
from tfrecords_tools.shards import write_examples
from tfrecords_tools.streams import ShardSet, Stream

_SHUFFLE = 1000  # webdataset's buffer, in images; ours is larger
_STEPS_PER_EPOCH = 8
_EPOCHS = 2


def measure(*, image_size: int = 256, batch_size: int = 64, photos: int = 16, rounds: int = 5) -> list[Measurement]:
    """Returns how fast shards of twice the size asked for are read, and shards of that size.

    Arguments:
      image_size: side of the images in the batches.
      batch_size: images a batch.
      photos: how many different ones are drawn.
      rounds: how often each contender reads two epochs of eight batches.
    """
    cv2.setNumThreads(0)
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        return [
            *_race(Path(folder), 2 * image_size, image_size, batch_size, photos, rounds),
            *_race(Path(folder), image_size, image_size, batch_size, photos, rounds),
        ]


def _race(
    folder: Path, stored_size: int, image_size: int, batch_size: int, photos: int, rounds: int
) -> list[Measurement]:
    drawn = [encode_jpeg(draw_photo(stored_size, stored_size, seed), quality=95) for seed in range(photos)]
    jpegs = [drawn[number % photos] for number in range(_STEPS_PER_EPOCH * batch_size)]
    shards = _write_shard(folder / str(stored_size), jpegs)
    tar = _write_tar(folder / f"{stored_size}.tar", jpegs)
    settings = {"num_classes": 2, "image_size": image_size, "global_batch_size": batch_size, "seed": 0}
    flipped = training_batches([Stream(shards=shards)], **settings, augment=_random_flip)
    plain = training_batches([Stream(shards=shards)], **settings)
    contenders = {
        "flipped": partial(_take, flipped),
        "plain": partial(_take, plain),
        "opencv": partial(_take, _webdataset(tar, image_size, batch_size, _decode_opencv, _finish_opencv)),
        "pillow": partial(_take, _webdataset(tar, image_size, batch_size, "pilrgb", _finish_pillow)),
        "limit": partial(_take, decoding_alone(jpegs, batch_size, stored_size // image_size)),
    }
    seconds = cpu_seconds(contenders, rounds)
    rates = {name: per_second(len(jpegs) * _EPOCHS, own) for name, own in seconds.items()}
    at_size = stored_size == image_size
    rows = [
        ("flipped", "opencv", "webdataset, OpenCV decode, area resize, flip", None if at_size else 1.3),
        ("flipped", "pillow", "webdataset, its Pillow decode, box resize, flip", None if at_size else 1.3),
        ("flipped", "limit", "limit: tf.data decoding alone, from memory", None),
        ("plain", "limit", "limit: tf.data decoding alone, from memory; ours without flip", 0.75 if at_size else None),
    ]
    return [
        Measurement(
            what=f"reading {stored_size} px as batches of {image_size} px",
            ours=rates[ours],
            rival=f"{description}: {rates[rival]}",
            value=times_faster(seconds[ours], seconds[rival]),
            at_least=target,
        )
        for ours, rival, description, target in rows
    ]


def _take(batches: tf.data.Dataset | webdataset.WebDataset) -> None:
    """Reads `_EPOCHS` epochs; an iterator of its own each time, so that nothing is prefetched at others' expense."""
    if isinstance(batches, tf.data.Dataset):
        for _ in batches.take(_STEPS_PER_EPOCH * _EPOCHS):
            pass
        return
    for _ in range(_EPOCHS):
        for images, _ in batches:
            np.asarray(images)


def _random_flip(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.image.stateless_random_flip_left_right(image, seed)


def decoding_alone(jpegs: Sequence[bytes], batch_size: int, ratio: int) -> tf.data.Dataset:
    """Returns batches of images that are decoded from memory, at a reduced scale, and nothing else."""
    encoded = tf.data.Dataset.from_tensor_slices(list(jpegs)).repeat()
    decode = partial(tf.io.decode_jpeg, channels=3, ratio=ratio)
    return encoded.map(decode, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)


def _webdataset(
    tar: Path, image_size: int, batch_size: int, decode: str | Callable, finish: Callable
) -> webdataset.WebDataset:
    rng = np.random.default_rng(0)
    images = webdataset.WebDataset(str(tar), shardshuffle=False).shuffle(_SHUFFLE).decode(decode)
    return images.to_tuple("jpg", "cls").map_tuple(partial(finish, image_size, rng), int).batched(batch_size)


def _decode_opencv(key: str, data: bytes) -> np.ndarray | None:
    if not key.endswith("jpg"):
        return None
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def _finish_opencv(image_size: int, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    if len(image) != image_size:
        image = cv2.resize(image, (image_size, image_size), interpolation=cv2.INTER_AREA)
    return image[:, ::-1] if rng.random() < 0.5 else image


def _finish_pillow(image_size: int, rng: np.random.Generator, image: Image.Image) -> np.ndarray:
    if image.width != image_size:
        image = image.resize((image_size, image_size), Image.Resampling.BOX)
    return np.asarray(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image)


def _write_shard(folder: Path, jpegs: Sequence[bytes]) -> ShardSet:
    folder.mkdir()
    size = Image.open(io.BytesIO(jpegs[0])).width
    examples = (Example(image=jpeg, image_name=str(number), target=number % 2) for number, jpeg in enumerate(jpegs))
    entry = write_examples(folder, "train", 0, examples, 2)
    return ShardSet((str(folder / entry.file),), entry.records, size)


def _write_tar(path: Path, jpegs: Sequence[bytes]) -> Path:
    def members() -> Iterator[tuple[str, bytes]]:
        for number, jpeg in enumerate(jpegs):
            yield f"{number:06d}.jpg", jpeg
            yield f"{number:06d}.cls", b"%d" % (number % 2)

    with tarfile.open(path, "w") as tar:
        for name, data in members():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


if __name__ == "__main__":
    stay_on_one_core()
    print_measurements(measure())
