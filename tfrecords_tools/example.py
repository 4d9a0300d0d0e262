"""The `tf.train.Example` layout of the public Kaggle melanoma shards, without TensorFlow.

The wire format is declared under a package name of our own, because a process that also imports TensorFlow
cannot hold a second message named `tensorflow.Example`. The bytes are the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tfrecords_tools.boxes import Box
from tfrecords_tools.foundation.metadata import METADATA, MISSING, TEST_METADATA

_IMAGE_FEATURES = ("image", "image_name")
_TRAINING_FEATURES = ("target", "width", "height")
SOURCE_FEATURE = "source"
BOXES_FEATURE = "boxes"  # x_min, y_min, x_max, y_max of each box, as fractions of the sides
MASK_FEATURE = "mask"  # a PNG of the size of the image
PROVENANCE_FEATURES = ("generator", "method", "seed", "index")
SOURCE_FEATURES = ("made_from", "made_from_shards")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The origin of a synthetic image: SHA-256 of the generator's weights, its method, and the draw.

    `made_from` are the names of the real images that it was given and shows something of, the one it shows most of
    first, and `made_from_shards` the index of the shard of each; both are empty for images drawn from noise.
    """

    generator: str
    method: str
    seed: int
    index: int
    made_from: tuple[str, ...] = ()
    made_from_shards: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Example:
    """One image with its metadata as integer codes; `MISSING` stands for what is not known.

    `image` is a JPEG; `width` and `height` are its size in pixels; `metadata` holds columns of `METADATA`; `target` is
    the index of the class in the manifest's list of classes, which for SIIM-ISIC is the 0 or 1 of train.csv. `source`
    is the code of the data set. `boxes` of lesions are fractions of the sides of the image in [0, 1]; `mask` shows them
    as a PNG of the size of the image, empty without one.
    """

    image: bytes
    image_name: str
    metadata: Mapping[str, int] = field(default_factory=dict)
    target: int = MISSING
    width: int = MISSING
    height: int = MISSING
    source: int = MISSING
    boxes: tuple[Box, ...] = ()
    mask: bytes = b""
    provenance: Provenance | None = None


def serialize(example: Example) -> bytes:
    """Returns the example as `tf.train.Example` bytes; equal examples give equal bytes.

    Test examples (`target` missing) carry the features of the public test shards only.
    """
    is_training = example.target != MISSING
    values: dict[str, Any] = {name: getattr(example, name) for name in _IMAGE_FEATURES}
    values |= {name: example.metadata.get(name, MISSING) for name in (METADATA if is_training else TEST_METADATA)}
    if is_training:
        values |= {name: getattr(example, name) for name in _TRAINING_FEATURES}
    if is_training and example.source != MISSING:
        values[SOURCE_FEATURE] = example.source
    if is_training and example.boxes:
        values[BOXES_FEATURE] = tuple(map(float, chain.from_iterable(example.boxes)))
    if is_training and example.mask:
        values[MASK_FEATURE] = example.mask
    if example.provenance is not None:
        values |= {name: getattr(example.provenance, name) for name in PROVENANCE_FEATURES}
        values |= {name: some for name in SOURCE_FEATURES if (some := getattr(example.provenance, name))}
    message = _EXAMPLE()
    for name, value in values.items():
        _fill(message.features.feature[name], value if isinstance(value, tuple) else (value,))
    return message.SerializeToString(deterministic=True)


def _fill(feature: Any, values: tuple) -> None:
    """Gives a feature one or more integers, floats, texts or bytes."""
    if isinstance(values[0], int):
        feature.int64_list.value.extend(values)
    elif isinstance(values[0], float):
        feature.float_list.value.extend(values)
    else:
        feature.bytes_list.value.extend(value if isinstance(value, bytes) else value.encode() for value in values)


def parse(record: bytes) -> dict[str, list]:
    """Returns the features of any serialized `tf.train.Example` as lists of bytes, floats or integers.

    Raises:
      google.protobuf.message.DecodeError: if the bytes are no Example.
    """
    message = _EXAMPLE.FromString(record)
    features = {}
    for name, feature in message.features.feature.items():
        kind = feature.WhichOneof("kind")
        features[name] = list(getattr(feature, kind).value) if kind else []
    return features


def origin_of(record: bytes) -> tuple[str, tuple[int, ...]]:
    """Returns the SHA-256 of the generator that a serialized example names, "" if it names none, and the real shards.

    These are the indices of the shards of the real images that it says it was made from.
    """
    features = _EXAMPLE.FromString(record).features.feature
    return _first_text(features, "generator"), tuple(features["made_from_shards"].int64_list.value)


def sources_of(record: bytes) -> tuple[str, int, tuple[str, ...]]:
    """Returns the name and the class of a labelled serialized example, and what it was made from: names of images."""
    features = _EXAMPLE.FromString(record).features.feature
    names = tuple(name.decode() for name in features["made_from"].bytes_list.value)
    return _first_text(features, "image_name"), features["target"].int64_list.value[0], names


def image_name_of(record: bytes) -> str:
    """Returns the name of the image of a serialized example, "" if it has none."""
    return _first_text(_EXAMPLE.FromString(record).features.feature, "image_name")


def facts_of(record: bytes) -> dict[str, str | int]:
    """Returns the name of the image of a serialized example, its target, source and metadata.

    `MISSING` stands for what it does not have.
    """
    features = _EXAMPLE.FromString(record).features.feature
    facts: dict[str, str | int] = {"image_name": _first_text(features, "image_name")}
    for name in ("target", SOURCE_FEATURE, *METADATA):
        values = features[name].int64_list.value
        facts[name] = values[0] if values else MISSING
    return facts


def _first_text(features: Mapping[str, Any], feature: str) -> str:
    values = features[feature].bytes_list.value
    return values[0].decode() if values else ""


def _example_class():
    """Declares tensorflow/core/example/{feature,example}.proto under the package `melgan`."""
    Field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="melgan/example.proto", package="melgan", syntax="proto3")

    def add_field(
        message: descriptor_pb2.DescriptorProto,
        name: str,
        number: int,
        kind: int,
        type_name: str | None = None,
        repeated: bool = False,
    ) -> descriptor_pb2.FieldDescriptorProto:
        field = message.field.add(name=name, number=number, type=kind, type_name=type_name)
        field.label = Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL
        return field

    feature = descriptor_pb2.DescriptorProto(name="Feature")
    feature.oneof_decl.add(name="kind")
    lists = (("bytes_list", Field.TYPE_BYTES), ("float_list", Field.TYPE_FLOAT), ("int64_list", Field.TYPE_INT64))
    for number, (name, kind) in enumerate(lists, start=1):
        message_name = "".join(part.capitalize() for part in name.split("_"))
        add_field(file.message_type.add(name=message_name), "value", 1, kind, repeated=True)
        add_field(feature, name, number, Field.TYPE_MESSAGE, f".melgan.{message_name}").oneof_index = 0
    file.message_type.append(feature)

    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    add_field(entry, "key", 1, Field.TYPE_STRING)
    add_field(entry, "value", 2, Field.TYPE_MESSAGE, ".melgan.Feature")
    add_field(features, "feature", 1, Field.TYPE_MESSAGE, ".melgan.Features.FeatureEntry", repeated=True)
    add_field(file.message_type.add(name="Example"), "features", 1, Field.TYPE_MESSAGE, ".melgan.Features")

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("melgan.Example"))


_EXAMPLE = _example_class()
