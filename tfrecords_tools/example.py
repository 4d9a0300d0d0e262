"""The `tf.train.Example` layout of the public Kaggle melanoma shards, and its category codes, without TensorFlow.

The wire format is declared under a package name of our own, because a process that also imports TensorFlow
cannot hold a second message named `tensorflow.Example`. The bytes are the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tfrecords_tools.boxes import Box

MISSING = -1

# Codes of the public shards: `pandas.factorize` of the Kaggle train.csv, that is order of first appearance.
SEX_CODES = {"male": 0, "female": 1}
SITE_CODES = {
    "head/neck": 0,
    "upper extremity": 1,
    "lower extremity": 2,
    "torso": 3,
    "palms/soles": 4,
    "oral/genital": 5,
}
DIAGNOSIS_CODES = {
    "unknown": 0,
    "nevus": 1,
    "melanoma": 2,
    "seborrheic keratosis": 3,
    "lentigo NOS": 4,
    "lichenoid keratosis": 5,
    "solar lentigo": 6,
    "cafe-au-lait macule": 7,
    "atypical melanocytic proliferation": 8,
    # Ours, for the other years of the ISIC archive.
    "basal cell carcinoma": 9,
    "actinic keratosis": 10,
    "dermatofibroma": 11,
    "vascular lesion": 12,
    "squamous cell carcinoma": 13,
}
# Names that the other years of the ISIC archive use for the same things.
SITE_ALIASES = {"anterior torso": "torso", "posterior torso": "torso", "lateral torso": "torso"}
DIAGNOSIS_ALIASES = {
    "NV": "nevus",
    "MEL": "melanoma",
    "BKL": "seborrheic keratosis",
    "BCC": "basal cell carcinoma",
    "AK": "actinic keratosis",
    "AKIEC": "actinic keratosis",
    "DF": "dermatofibroma",
    "VASC": "vascular lesion",
    "SCC": "squamous cell carcinoma",
    "UNK": "unknown",
}

TEST_FEATURES = ("image", "image_name", "patient_id", "sex", "age_approx", "anatom_site_general_challenge")
TRAIN_FEATURES = (*TEST_FEATURES, "diagnosis", "target", "width", "height")
SOURCE_FEATURE = "source"
BOXES_FEATURE = "boxes"  # x_min, y_min, x_max, y_max of each box, as shares of the sides
PROVENANCE_FEATURES = ("generator", "method", "seed", "index")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a synthetic image comes from: SHA-256 of the generator's weights, its method, and the draw."""

    generator: str
    method: str
    seed: int
    index: int


@dataclass(frozen=True, kw_only=True)
class Example:
    """One image with its metadata as integer codes; `MISSING` stands for what is not known.

    `image` is a JPEG; `width` and `height` are its size in pixels; `target` is the index of the class in the
    manifest's list of classes, which for SIIM-ISIC is the 0 or 1 of train.csv. `source` is the code of the data set.
    `boxes` of lesions are shares of the sides of the image in [0, 1].
    """

    image: bytes
    image_name: str
    patient_id: int = MISSING
    sex: int = MISSING
    age_approx: int = MISSING
    anatom_site_general_challenge: int = MISSING
    diagnosis: int = MISSING
    target: int = MISSING
    width: int = MISSING
    height: int = MISSING
    source: int = MISSING
    boxes: tuple[Box, ...] = ()
    provenance: Provenance | None = None


def encode_category(value: str | None, codes: Mapping[str, int], aliases: Mapping[str, str] | None = None) -> int:
    """Returns the code of a category name, `MISSING` where the table does not know it."""
    if value is None:
        return MISSING
    return codes.get((aliases or {}).get(value, value), MISSING)


def serialize(example: Example) -> bytes:
    """Returns the example as `tf.train.Example` bytes; equal examples give equal bytes.

    Test examples (`target` missing) carry the features of the public test shards only.
    """
    names = TRAIN_FEATURES if example.target != MISSING else TEST_FEATURES
    values = {name: getattr(example, name) for name in names}
    if example.target != MISSING and example.source != MISSING:
        values[SOURCE_FEATURE] = example.source
    if example.target != MISSING and example.boxes:
        values[BOXES_FEATURE] = example.boxes
    if example.provenance is not None:
        values |= {name: getattr(example.provenance, name) for name in PROVENANCE_FEATURES}
    message = _EXAMPLE()
    for name, value in values.items():
        feature = message.features.feature[name]
        if isinstance(value, int):
            feature.int64_list.value.append(value)
        elif isinstance(value, tuple):
            feature.float_list.value.extend(chain.from_iterable(value))
        else:
            feature.bytes_list.value.append(value if isinstance(value, bytes) else value.encode())
    return message.SerializeToString(deterministic=True)


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
