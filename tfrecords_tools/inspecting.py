"""Contents of TFRecord files: features with types, shapes and values, in one pass with bounded memory."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from google.protobuf.message import DecodeError

from tfrecords_tools import example
from tfrecords_tools.record_images import ImageHeader, image_header, is_text

Label: TypeAlias = int | bytes

LABEL_FEATURES = ("target", "label", "class", "image_class", "image/class/label")
MOST_DISTINCT = 10_000
_LONGEST_COUNTED = 64
# Tags of the first and second field with a length: Example.features (SequenceExample.context), and feature_lists.
_EXAMPLE_FEATURES, _SEQUENCE_LISTS = 0x0A, 0x12
_TYPES = {bytes: "bytes", int: "int64", float: "float"}
_SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
}


@dataclass
class Span:
    """The least and the greatest number seen; both None before any was."""

    low: float | None = None
    high: float | None = None

    def add(self, low: float, high: float | None = None) -> None:
        """Widens the span to hold a number, or a span."""
        high = low if high is None else high
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def merge(self, other: "Span") -> None:
        """Widens the span to hold another."""
        if other.low is not None:
            self.add(other.low, other.high)


@dataclass
class FeatureStats:
    """One feature over many records.

    `lengths` spans the number of values a record has, `numbers` all of its numbers, `sizes` its values in bytes.
    `values` counts integers and short bytes, up to `MOST_DISTINCT` different ones; then `overflowed` is set.
    """

    records: int = 0
    types: set[str] = field(default_factory=set)
    lengths: Span = field(default_factory=Span)
    numbers: Span = field(default_factory=Span)
    sizes: Span = field(default_factory=Span)
    not_finite: int = 0
    values: Counter = field(default_factory=Counter)
    overflowed: bool = False
    formats: Counter = field(default_factory=Counter)
    widths: Span = field(default_factory=Span)
    heights: Span = field(default_factory=Span)
    example: bytes | None = None

    @property
    def is_text(self) -> bool:
        """True if its first value is printable text."""
        # A value that was cut to be kept may end inside a character of several bytes.
        return bool(self.example) and any(is_text(self.example[: len(self.example) - cut]) for cut in range(4))

    def add(self, values: list) -> None:
        """Takes the values of one record in."""
        self.records += 1
        self.lengths.add(len(values))
        if not values:
            return
        kind = _TYPES[type(values[0])]
        self.types.add(kind)
        if kind == "bytes":
            self._add_bytes(values)
        elif kind == "int64":
            self.numbers.add(min(values), max(values))
            self._count(values)
        else:
            self._add_floats(np.asarray(values))

    def merge(self, other: "FeatureStats") -> None:
        """Adds statistics of the same feature in another file."""
        self.records += other.records
        self.types |= other.types
        for name in ("lengths", "numbers", "sizes", "widths", "heights"):
            getattr(self, name).merge(getattr(other, name))
        self.not_finite += other.not_finite
        self.formats.update(other.formats)
        self.example = self.example if self.example is not None else other.example
        self._count(other.values)
        self.overflowed |= other.overflowed

    def _add_bytes(self, values: list[bytes]) -> None:
        for value in values:
            self.sizes.add(len(value))
            if header := image_header(value):
                self._add_header(header)
        if self.example is None:
            self.example = values[0][: 4 * _LONGEST_COUNTED]
        if all(len(value) <= _LONGEST_COUNTED for value in values):
            self._count(values)
        else:
            self.overflowed = True

    def _add_header(self, header: ImageHeader) -> None:
        self.formats[header.format, header.mode] += 1
        self.widths.add(header.width)
        self.heights.add(header.height)

    def _add_floats(self, values: np.ndarray) -> None:
        finite = values[np.isfinite(values)]
        self.not_finite += len(values) - len(finite)
        if len(finite):
            self.numbers.add(float(finite.min()), float(finite.max()))

    def _count(self, values: Iterable | Mapping) -> None:
        if not self.overflowed:
            self.values.update(values)
            self.overflowed = len(self.values) > MOST_DISTINCT


class Sample:
    """At most `size` records, as many of each label as there can be: the first ones of each."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._records: dict[Label | None, list[bytes]] = {}

    def add(self, label: Label | None, record: bytes) -> None:
        """Keeps a record if its label has fewer than another, or if there is room."""
        own = self._records.get(label, [])
        if sum(map(len, self._records.values())) >= self._size:
            fullest = max(self._records.values(), key=len, default=[])
            if len(fullest) < len(own) + 2:
                return
            fullest.pop()
        self._records.setdefault(label, own).append(record)

    def merge(self, other: "Sample") -> None:
        """Keeps what another sample has, as if its records came after."""
        for label, records in other._records.items():
            for record in records:
                self.add(label, record)

    def reduced(self, size: int) -> "Sample":
        """Returns a sample of at most `size` of these records."""
        smaller = Sample(size)
        smaller.merge(self)
        return smaller

    def items(self) -> list[tuple[Label | None, bytes]]:
        """Returns (label, record) in order of the labels."""
        labels = sorted(self._records, key=lambda label: (str(type(label)), 0 if label is None else label))
        return [(label, record) for label in labels for record in self._records[label]]


class Summary:
    """The contents of one file, or of several with the same features."""

    def __init__(self, label_feature: str = "", sample_size: int = 0) -> None:
        self.examples = self.sequence_examples = self.others = 0
        self.features: dict[str, FeatureStats] = {}
        self.sample = Sample(sample_size)
        self._label_feature = label_feature
        self._sample_size = sample_size

    @property
    def records(self) -> int:
        """The number of records added."""
        return self.examples + self.sequence_examples + self.others

    @property
    def label_feature(self) -> str | None:
        """The feature that holds the class: the one asked for, or the first customary name that is there."""
        names = (self._label_feature,) if self._label_feature else LABEL_FEATURES
        return next((name for name in names if name in self.features), None)

    def add(self, record: bytes) -> dict[str, list]:
        """Takes a record in, and returns its features: none if it is no tf.train.Example."""
        features = parse_any(record)
        if features is None:
            if is_sequence_example(record):
                self.sequence_examples += 1
            else:
                self.others += 1
            return {}
        self.examples += 1
        for name, values in features.items():
            if name not in self.features:
                self.features[name] = FeatureStats()
            self.features[name].add(values)
        if self._sample_size:
            values = features.get(self.label_feature, [])
            label = values[0] if len(values) == 1 and not isinstance(values[0], float) else None
            self.sample.add(label, record)
        return features

    def merge(self, other: "Summary") -> None:
        """Adds the summary of another file."""
        self.examples += other.examples
        self.sequence_examples += other.sequence_examples
        self.others += other.others
        for name, stats in other.features.items():
            self.features.setdefault(name, FeatureStats()).merge(stats)
        self.sample.merge(other.sample)

    def signature(self) -> tuple:
        """Returns names and types of the features; files with equal ones are shown together."""
        return tuple(sorted((name, tuple(sorted(stats.types))) for name, stats in self.features.items()))


def parse_any(record: bytes) -> dict[str, list] | None:
    """Returns the features of a `tf.train.Example`, None if the bytes are none."""
    if set(_top_level_tags(record)) - {_EXAMPLE_FEATURES}:
        return None
    try:
        return example.parse(record)
    except DecodeError:
        return None


def is_sequence_example(record: bytes) -> bool:
    """Returns whether the bytes look like a `tf.train.SequenceExample`: it has a second field, the lists."""
    return {*_top_level_tags(record)} - {_EXAMPLE_FEATURES} == {_SEQUENCE_LISTS}


def split_of(name: str) -> str:
    """Returns the split that a file's name tells (train, test, validation), or nothing."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), "")


def _top_level_tags(record: bytes) -> list[int]:
    """Returns the tags of a message whose fields all have a length, then -1 where something else begins."""
    tags, position = [], 0
    while position < len(record):
        tag = record[position]
        length, position = _varint(record, position + 1)
        if tag & 7 != 2 or length is None or position + length > len(record):
            return [*tags, -1]
        tags.append(tag)
        position += length
    return tags


def _varint(data: bytes, position: int) -> tuple[int | None, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        value, shift, position = value | (byte & 0x7F) << shift, shift + 7, position + 1
        if byte < 0x80:
            return value, position
    return None, position
