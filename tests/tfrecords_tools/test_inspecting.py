"""Inspecting: features, classes and samples of records that TensorFlow wrote, in bounded memory."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfrecords_tools import inspecting
from tfrecords_tools.inspecting import FeatureStats, Sample, Summary, is_sequence_example, parse_any, split_of


def feature(values):
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def record(**features):
    named = {name: feature(values) for name, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=named)).SerializeToString()


def stats_of(*records):
    stats = FeatureStats()
    for values in records:
        stats.add(values)
    return stats


def test_a_summary_counts_records_features_types_lengths_and_values():
    summary = Summary()
    summary.add(record(label=[3], box=[0.25, 1.5], name=[b"a"]))
    summary.add(record(label=[-1], box=[-2.0, 0.0, 4.0]))
    assert (summary.records, summary.examples) == (2, 2)
    label, box, name = (summary.features[key] for key in ("label", "box", "name"))
    assert (label.types, label.records, label.values) == ({"int64"}, 2, {3: 1, -1: 1})
    assert (box.types, box.lengths.low, box.lengths.high) == ({"float"}, 2, 3)
    assert (box.numbers.low, box.numbers.high) == (-2.0, 4.0)
    assert (name.types, name.records, name.example) == ({"bytes"}, 1, b"a")


def test_numbers_that_are_not_finite_are_counted_apart():
    stats = stats_of([1.0, math.nan], [math.inf, 2.0])
    assert (stats.not_finite, stats.numbers.low, stats.numbers.high) == (2, 1.0, 2.0)


def test_merging_is_the_same_as_adding_everything_to_one():
    records = [record(label=[n % 3], x=[n / 4] * (1 + n % 2), name=[b"n%d" % n]) for n in range(20)]
    whole, left, right = Summary(), Summary(), Summary()
    for number, each in enumerate(records):
        whole.add(each)
        (left if number < 7 else right).add(each)
    left.merge(right)
    assert left.features == whole.features
    assert left.records == whole.records == 20


def test_distinct_values_are_counted_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(inspecting, "MOST_DISTINCT", 5)
    stats = stats_of(*([n] for n in range(100)))
    assert stats.overflowed
    assert len(stats.values) == 6
    assert (stats.numbers.low, stats.numbers.high) == (0, 99)


def test_records_that_are_no_examples_are_told_apart():
    sequence = tf.train.SequenceExample()
    sequence.context.feature["label"].int64_list.value.append(1)
    sequence.feature_lists.feature_list["frames"].feature.add().float_list.value.append(0.5)
    summary = Summary()
    for each in (sequence.SerializeToString(), b"hello world", bytes(range(256)), record(label=[1]), b"\x0a\x05ab"):
        summary.add(each)
    assert (summary.sequence_examples, summary.others, summary.examples) == (1, 3, 1)
    assert is_sequence_example(sequence.SerializeToString())
    assert parse_any(b"") == {}


def test_random_bytes_never_crash():
    rng = np.random.default_rng(0)
    summary = Summary(sample_size=4)
    for size in range(300):
        summary.add(rng.bytes(size))
    assert summary.records == 300


@pytest.mark.parametrize(
    ("counts", "kept"),
    [({0: 100, 1: 100}, {0: 4, 1: 4}), ({0: 100, 1: 2}, {0: 6, 1: 2}), ({0: 3}, {0: 3}), ({0: 50, 1: 50, 2: 1}, None)],
)
def test_a_sample_is_balanced_over_labels_even_where_they_come_one_after_the_other(counts, kept):
    sample = Sample(8)
    for label, count in counts.items():
        for number in range(count):
            sample.add(label, b"%d" % number)
    items = sample.items()
    found = {label: sum(other == label for other, _ in items) for label in counts}
    if kept is None:
        assert found[2] == 1
        assert sorted(found.values()) == [1, 3, 4]
    else:
        assert found == kept
    assert [each for label, each in items if label == 0] == [b"%d" % number for number in range(found[0])]


def test_a_sample_of_many_labels_stays_small():
    sample = Sample(8)
    for label in range(1000):
        sample.add(label, b"x")
    assert len(sample.items()) == 8
    assert len(sample.reduced(3).items()) == 3


def test_the_label_is_the_first_customary_feature_or_the_one_asked_for():
    summary, other = Summary(), Summary("width")
    for each in (summary, other):
        each.add(record(width=[7], label=[1]))
    assert summary.label_feature == "label"
    assert other.label_feature == "width"
    assert Summary("nothing").label_feature is None


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train00-2071.tfrec", "train"),
        ("test00-687.tfrec", "test"),
        ("cifar10_test.tfrecord", "test"),
        ("mnist-validation.tfrecord-00000-of-00001", "validation"),
        ("contest.tfrec", ""),
        ("mnist.tfrecord", ""),
    ],
)
def test_the_split_that_a_name_tells(name, split):
    assert split_of(name) == split


@pytest.mark.parametrize(
    ("name", "records", "features", "classes"),
    [
        ("cifar10_test.tfrecord", 128, {"id": "bytes", "image": "bytes", "label": "int64"}, 10),
        ("mnist.tfrecord", 1000, {"image_class": "int64", "image_floats": "float"}, 10),
    ],
)
def test_files_of_others(real_data, name, records, features, classes):
    summary = Summary()
    for each in tf.data.TFRecordDataset(str(real_data / "tfrecords" / name)).as_numpy_iterator():
        summary.add(each)
    assert summary.records == summary.examples == records
    assert {key: next(iter(stats.types)) for key, stats in summary.features.items()} == features
    assert len(summary.features[summary.label_feature].values) == classes
