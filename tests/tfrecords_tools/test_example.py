"""Examples: the bytes and features of the public shards."""

import os
import pkgutil
import subprocess
import sys
from dataclasses import replace

import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError

import tfrecords_tools
from tfrecords_tools.example import Example, Provenance, parse, serialize
from tfrecords_tools.foundation.metadata import METADATA

WITH_TENSORFLOW = [f"tfrecords_tools.{name}" for name in ("reading", "streams", "outlines")]

TEST_VALUES = {
    "image": b"\xff\xd8\x00\xff\xd9",
    "image_name": "ISIC_0052060",
    "patient_id": 7,
    "sex": 1,
    "age_approx": 45,
    "anatom_site_general_challenge": -1,
}
TRAIN_VALUES = {**TEST_VALUES, "diagnosis": 2, "target": 1, "width": 256, "height": 256}
BOXES = ((0.25, 0.5, 0.75, 1.0), (0.0, 0.125, 0.25, 0.5))
PROVENANCE_VALUES = {"generator": "0a1b", "method": "bagan_gp", "seed": 3, "index": 2**40}
SOURCES = {"made_from": ("ISIC_2", "ISIC_1"), "made_from_shards": (4, 0)}


def example_of(values: dict, **others) -> Example:
    """Returns an example with features as they are named in the shards."""
    metadata = {name: value for name, value in values.items() if name in METADATA}
    return Example(
        **{name: value for name, value in values.items() if name not in METADATA}, metadata=metadata, **others
    )


EXAMPLES = {
    "train": (example_of(TRAIN_VALUES), TRAIN_VALUES),
    "test": (example_of({**TRAIN_VALUES, "target": -1}), TEST_VALUES),
    "boxed": (example_of(TRAIN_VALUES, boxes=BOXES), {**TRAIN_VALUES, "boxes": [*BOXES[0], *BOXES[1]]}),
    "synthetic": (
        example_of(TRAIN_VALUES, provenance=Provenance(**PROVENANCE_VALUES)),
        {**TRAIN_VALUES, **PROVENANCE_VALUES},
    ),
    "masked": (example_of(TRAIN_VALUES, mask=b"\x89PNG"), {**TRAIN_VALUES, "mask": b"\x89PNG"}),
    "translated": (
        example_of(TRAIN_VALUES, provenance=Provenance(**PROVENANCE_VALUES, **SOURCES)),
        {**TRAIN_VALUES, **PROVENANCE_VALUES, "made_from": [b"ISIC_2", b"ISIC_1"], "made_from_shards": [4, 0]},
    ),
}


def tensorflow_example(values: dict) -> tf.train.Example:
    message = tf.train.Example()
    for name, value in values.items():
        feature = message.features.feature[name]
        values = value if isinstance(value, list) else [value.encode() if isinstance(value, str) else value]
        kind = {int: "int64_list", float: "float_list", bytes: "bytes_list"}[type(values[0])]
        getattr(feature, kind).value.extend(values)
    return message


@pytest.mark.parametrize("kind", EXAMPLES)
def test_bytes_and_features_are_those_of_tensorflow(kind):
    ours, values = EXAMPLES[kind]
    message = tensorflow_example(values)
    assert serialize(ours) == message.SerializeToString(deterministic=True)
    assert tf.train.Example.FromString(serialize(ours)) == message


@pytest.mark.parametrize("kind", EXAMPLES)
def test_parse_returns_what_was_serialized(kind):
    ours, values = EXAMPLES[kind]
    values = {name: value.encode() if isinstance(value, str) else value for name, value in values.items()}
    as_lists = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    assert parse(serialize(ours)) == as_lists


@pytest.mark.parametrize("kind", ["train", "boxed", "masked"])
def test_the_public_notebooks_read_our_examples(kind):
    schema = {
        name: tf.io.FixedLenFeature([], tf.int64 if isinstance(value, int) else tf.string)
        for name, value in TRAIN_VALUES.items()
    }
    read = tf.io.parse_single_example(serialize(EXAMPLES[kind][0]), schema)
    assert (read["image_name"].numpy(), read["target"].numpy(), read["width"].numpy()) == (b"ISIC_0052060", 1, 256)


def test_equal_examples_give_equal_bytes_in_every_process():
    ours = EXAMPLES["synthetic"][0]
    script = f"from tfrecords_tools.example import *; print(serialize({ours!r}).hex())"
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        printed = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True
        ).stdout
        assert bytes.fromhex(printed.decode()) == serialize(replace(ours))


def test_parse_reads_floats_and_features_without_a_value():
    message = tf.train.Example()
    message.features.feature["box"].float_list.value.extend([0.5, -2.0])
    message.features.feature["many"].int64_list.value.extend([1, -1, 2**62])
    message.features.feature["nothing"].SetInParent()
    assert parse(message.SerializeToString()) == {"box": [0.5, -2.0], "many": [1, -1, 2**62], "nothing": []}


def test_parse_refuses_what_is_no_example():
    with pytest.raises(DecodeError):
        parse(b"\xff\xff no example")


def test_a_row_names_its_data_set_and_a_test_row_does_not():
    assert parse(serialize(Example(image=b"", image_name="a", target=0, source=2)))["source"] == [2]
    assert "source" not in parse(serialize(Example(image=b"", image_name="a", target=0)))
    assert "source" not in parse(serialize(Example(image=b"", image_name="a", source=2)))


def test_an_image_without_boxes_or_mask_and_a_test_image_have_no_such_features():
    assert serialize(example_of(TRAIN_VALUES, boxes=(), mask=b"")) == serialize(example_of(TRAIN_VALUES))
    unlabelled = example_of({**TRAIN_VALUES, "target": -1}, boxes=BOXES, mask=b"\x89PNG")
    assert not {"boxes", "mask"} & parse(serialize(unlabelled)).keys()


def test_workers_stay_free_of_tensorflow():
    modules = [
        module.name
        for module in pkgutil.walk_packages(tfrecords_tools.__path__, "tfrecords_tools.")
        if module.name not in WITH_TENSORFLOW
    ]
    assert {"tfrecords_tools.engines", "tfrecords_tools.sources.phantom"} <= set(modules)
    script = f"import sys, {', '.join(modules)}; assert not {{'tensorflow', 'keras'}} & set(sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
