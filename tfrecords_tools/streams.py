"""Shards -> endless streams of serialized records, any number of which are mixed by fractions.

The order of a stream is a function of (seed, epoch) alone: shard files are shuffled and read interleaved, and their
records are shuffled in windows. `Dataset.shuffle` is not used, because its order also depends on the process's global
seed. Which stream record number i is from is a function of i alone, so mixed streams resume at any record.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import tensorflow as tf

from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.foundation.metadata import MISSING
from tfrecords_tools.images import JPEG_QUALITY
from tfrecords_tools.manifest import Manifest, ShardEntry, add_counts, count_classes
from tfrecords_tools.outlines import OUTLINES

SHUFFLE_WINDOW = 8192
_CYCLE_LENGTH = 16
_HASHES = 2**62


@dataclass(frozen=True)
class ShardSet:
    """Shards to read together.

    Attributes:
      paths: of the files.
      num_records: in all of them.
      stored_size: side of the images in pixels; 0 for several.
      quality: of the JPEGs, 1 to 100.
      class_counts: images of each class, empty where they are not known.
      masked_counts, boxed_counts: of these, those that have masks, or boxes.
    """

    paths: tuple[str, ...]
    num_records: int
    stored_size: int
    quality: int = JPEG_QUALITY
    class_counts: tuple[int, ...] = ()
    masked_counts: tuple[int, ...] = ()
    boxed_counts: tuple[int, ...] = ()

    def counts_of(self, outlined_by: str) -> tuple[int, ...]:
        """Returns the images of each class that have outlines, by a name of OUTLINES; all for none."""
        return getattr(self, OUTLINES[outlined_by].counted_in) if outlined_by else self.class_counts


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """What is known of images beside their records. Images that are not named are left out of the stream.

    Attributes:
      names: of the images `[N]`, each once.
      counts: how often each is read in a pass `[N]`, 1 or more; None for once.
      targets: probabilities of their classes, float32 `[N, C]`.
      metadata: features whose values, int32 `[N]`, take the place of those in the records.
    """

    names: tuple[str, ...]
    targets: np.ndarray
    metadata: Mapping[str, np.ndarray] = field(default_factory=dict)
    counts: np.ndarray | None = None

    @property
    def num_images(self) -> int:
        """How many images are read in a pass."""
        return len(self.names) if self.counts is None else int(self.counts.sum())

    def repeated(self, record: tf.Tensor) -> tf.data.Dataset:
        """Yields a serialized record as often as it is read in a pass."""
        counts = np.ones(len(self.names)) if self.counts is None else self.counts
        of_each = tf.constant(np.concatenate([[0], counts]), tf.int64)  # first of those that are not named
        return tf.data.Dataset.from_tensors(record).repeat(tf.gather(of_each, 1 + self.find(_image_name(record))))

    def find(self, name: tf.Tensor) -> tf.Tensor:
        """Returns the place of an image, string `[]`, among the names, int64 `[]`; -1 for none."""
        hashes, places = self._sorted_hashes
        wanted = tf.strings.to_hash_bucket_fast(name, _HASHES)
        place = tf.minimum(tf.searchsorted(hashes, wanted[None])[0], len(places) - 1)
        return tf.where(tf.gather(hashes, place) == wanted, tf.gather(places, place), tf.constant(-1, tf.int64))

    @cached_property
    def _sorted_hashes(self) -> tuple[np.ndarray, np.ndarray]:
        """The hashes of the names in order, and the place of each: tf.data finds names by them without a resource."""
        with tf.init_scope():
            hashes = tf.strings.to_hash_bucket_fast(list(self.names), _HASHES).numpy()
        if len(np.unique(hashes)) < len(hashes):
            raise ValueError("names of annotated images must differ")
        places = np.argsort(hashes)
        return hashes[places], places


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Shards that are read as an endless stream of images, and what the images count for.

    Attributes:
      shards: what is read.
      fraction: of all images, in (0, 1]; the fractions of all streams add up to 1.
      class_counts: images of each class that are read; given, classes take turns: of any stretch of the stream as many
        images are of each class that has any, to within one.
      labels: the classes that are read, in their real fractions; None for all.
      outlined_by: a name of OUTLINES, by which masks are read with the images, and images that have no such outlines
        are left out; empty for no masks.
      is_labelled: whether the labels may be known. Those of other streams are hidden.
      num_views: how many differently augmented views of an image a batch holds.
      annotations: what the images count for, and which of them are read; None for all, as their records say.
    """

    shards: ShardSet
    fraction: float = 1.0
    class_counts: tuple[int, ...] | None = None
    labels: tuple[int, ...] | None = None
    outlined_by: str = ""
    is_labelled: bool = True
    num_views: int = 1
    annotations: Annotations | None = None

    @property
    def num_images(self) -> int:
        """The images that it goes through before any comes again."""
        if self.annotations is not None:
            return self.annotations.num_images
        if self.labels is None and not self.outlined_by:
            return self.shards.num_records
        counts = self.shards.counts_of(self.outlined_by)
        return sum(count for label, count in enumerate(counts) if self.labels is None or label in self.labels)


def shard_set(folder: AnyPath, manifest: Manifest, shards: Sequence[ShardEntry]) -> ShardSet:
    """Returns the shards of a folder as a set to read."""
    paths = tuple(str(folder / shard.file) for shard in shards)
    return ShardSet(
        paths,
        sum(shard.records for shard in shards),
        manifest.image_size,
        quality=manifest.encoder.get("quality", JPEG_QUALITY),
        class_counts=count_classes(shards, len(manifest.classes)),
        masked_counts=add_counts([shard.masked_counts for shard in shards], len(manifest.classes)),
        boxed_counts=add_counts([shard.boxed_counts for shard in shards], len(manifest.classes)),
    )


def join(sets: Sequence[ShardSet]) -> ShardSet:
    """Returns the shards of one or more sets as one; of several qualities it has the lowest.

    Its images are counted by class if all sets have as many classes.
    """
    sizes = {shards.stored_size for shards in sets}
    paths = tuple(path for shards in sets for path in shards.paths)
    return ShardSet(
        paths,
        sum(shards.num_records for shards in sets),
        stored_size=sizes.pop() if len(sizes) == 1 else 0,
        quality=min(shards.quality for shards in sets),
        class_counts=_joined([shards.class_counts for shards in sets]),
        masked_counts=_joined([shards.masked_counts for shards in sets]),
        boxed_counts=_joined([shards.boxed_counts for shards in sets]),
    )


def _joined(counts: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return add_counts(counts) if len(set(map(len, counts))) == 1 else ()


def mixed_records(streams: Sequence[Stream], seed: int, start: int) -> tf.data.Dataset:
    """Yields (number of the stream int64, serialized record) from record number `start` of the mixed streams on.

    Arguments:
      streams: one or more.
      seed: of the order; stream number k has the seed plus k.
      start: number of the first record.

    Raises:
      ValueError: for fractions that do not add up to 1, a stream whose images are chosen in two ways, or one without
        images.
    """
    for stream in streams:
        _require_images(stream)
    fractions = [stream.fraction for stream in streams]
    if min(fractions) <= 0 or not math.isclose(sum(fractions), 1.0, abs_tol=1e-9):
        raise ValueError(f"fractions are {fractions}; they must be greater than 0 and add up to 1")
    before = _records_before(fractions, start)
    records = [_records(stream, seed + number, before[number]) for number, stream in enumerate(streams)]
    if len(streams) == 1:
        return records[0].map(lambda record: (tf.constant(0, tf.int64), record))
    numbers = tf.data.Dataset.range(start, tf.int64.max).map(lambda number: _stream_of(fractions, number))
    return tf.data.Dataset.zip(numbers, tf.data.Dataset.choose_from_datasets(records, numbers))


def _require_images(stream: Stream) -> None:
    choices = ("class_counts", "annotations", "labels")
    given = [name for name in choices if getattr(stream, name) is not None]
    if len(given) > 1 or (stream.annotations is not None and stream.outlined_by):
        raise ValueError(
            f"{' and '.join(given)} are given for a stream, outlined_by is {stream.outlined_by!r}; give one"
        )
    if not stream.num_images:
        raise ValueError(f"no image for a stream of labels {stream.labels}, outlined_by {stream.outlined_by!r}")


def _conditional_fractions(fractions: Sequence[float]) -> Iterator[tuple[int, float]]:
    """Yields streams from the last to the second, each with its fraction of what those before it leave."""
    left = 1.0
    for number in range(len(fractions) - 1, 0, -1):
        yield number, fractions[number] / left
        left -= fractions[number]


def _records_before(fractions: Sequence[float], start: int) -> list[int]:
    """Returns how many of the records before number `start` are from each stream."""
    counts, left = [0] * len(fractions), start
    for number, fraction in _conditional_fractions(fractions):
        counts[number] = math.floor(left * fraction)
        left -= counts[number]
    counts[0] = left
    return counts


def _stream_of(fractions: Sequence[float], number: tf.Tensor) -> tf.Tensor:
    """Returns which stream record number i is from, int64 `[]`: evenly spread.

    The last stream has record i where floor(i f) steps up; the records that it leaves are numbered anew, and the
    stream before it has them by the same rule, and so on.
    """
    position, chosen = tf.cast(number, tf.float64), tf.constant(0, tf.int64)
    is_open = tf.constant(True)
    for stream, fraction in _conditional_fractions(fractions):
        before = tf.floor(position * fraction)
        steps = tf.floor((position + 1) * fraction) > before
        chosen = tf.where(is_open & steps, tf.constant(stream, tf.int64), chosen)
        is_open &= ~steps
        position -= before
    return chosen


def _records(stream: Stream, seed: int, start: int) -> tf.data.Dataset:
    if stream.class_counts is not None:
        return _balanced_records(stream, seed, start)
    counted = replace(stream.shards, num_records=stream.num_images)
    return _endless_records(counted, seed, start, _reader(stream))


def _endless_records(
    shards: ShardSet, seed: int, start: int, read: Callable[[tf.Tensor], tf.data.Dataset] = tf.data.TFRecordDataset
) -> tf.data.Dataset:
    """Yields serialized records from record number `start` of the endless, per-epoch shuffled stream.

    `read` gives the records of a file that are in the stream; `shards` counts no others.
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


def _balanced_records(stream: Stream, seed: int, start: int) -> tf.data.Dataset:
    """Yields serialized records, of the classes that have any in turns: number i is of class i modulo their number.

    Every class is a stream of its own, which reads through all shards.
    """
    counts = {label: count for label, count in enumerate(stream.class_counts) if count}
    classes = [
        _endless_records(
            replace(stream.shards, num_records=count),
            seed,
            (start + len(counts) - 1 - turn) // len(counts),
            _reader(replace(stream, labels=(label,))),
        )
        for turn, (label, count) in enumerate(counts.items())
    ]
    turns = tf.data.Dataset.range(start, tf.int64.max).map(lambda number: number % len(counts))
    return tf.data.Dataset.choose_from_datasets(classes, turns)


def _reader(stream: Stream) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """Returns what reads those records of a file that are in a stream."""
    annotations = stream.annotations
    if annotations is not None and annotations.counts is not None:
        return lambda path: tf.data.TFRecordDataset(path).flat_map(annotations.repeated)

    def read(path: tf.Tensor) -> tf.data.Dataset:
        records = tf.data.TFRecordDataset(path)
        for is_in_stream in _conditions(stream):
            records = records.filter(is_in_stream)
        return records

    return read


def _conditions(stream: Stream) -> Iterator[Callable[[tf.Tensor], tf.Tensor]]:
    """Yields what is asked of the serialized records of a stream."""
    if stream.annotations is not None:
        yield lambda record: stream.annotations.find(_image_name(record)) >= 0
    if stream.labels is not None:
        yield lambda record: tf.reduce_any(_label(record) == tf.constant(stream.labels, tf.int64))
    if stream.outlined_by:
        yield OUTLINES[stream.outlined_by].is_in


def _image_name(record: tf.Tensor) -> tf.Tensor:
    name = tf.io.FixedLenFeature([], tf.string, default_value="")
    return tf.io.parse_single_example(record, {"image_name": name})["image_name"]


def _label(record: tf.Tensor) -> tf.Tensor:
    target = tf.io.FixedLenFeature([], tf.int64, default_value=tf.constant(MISSING, tf.int64))
    return tf.io.parse_single_example(record, {"target": target})["target"]
