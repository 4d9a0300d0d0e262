"""Records: the framing is TensorFlow's, and damage is found and named by its record number."""

from itertools import islice

import pytest
import tensorflow as tf

from tfrecords_tools.errors import DataError
from tfrecords_tools.records import frame, read_records

# 12 bytes of header and 4 of checksum each: the records begin at 0, 26 and 62, the file ends at 108.
PAYLOADS = [b"a" * 10, bytes(range(20)), b"\x00" * 30]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "three.tfrec"
    path.write_bytes(b"".join(frame(payload) for payload in PAYLOADS))
    return path


def test_tensorflow_reads_our_records(path):
    assert path.stat().st_size == 108
    assert list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()) == PAYLOADS


def test_our_bytes_are_those_of_tensorflow_s_writer(path, tmp_path):
    theirs = tmp_path / "theirs.tfrec"
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for payload in PAYLOADS:
            writer.write(payload)
    assert theirs.read_bytes() == path.read_bytes()
    assert list(read_records(theirs)) == PAYLOADS


@pytest.mark.parametrize("payloads", [[], [b""], [b"", b"x", b""]])
def test_empty_files_and_empty_records_are_read(tmp_path, payloads):
    path = tmp_path / "empty.tfrec"
    path.write_bytes(b"".join(frame(payload) for payload in payloads))
    assert list(read_records(path)) == payloads


@pytest.mark.parametrize(
    ("size", "number", "place"),
    [
        (5, 0, "inside its header"),
        (12, 0, "inside its data"),
        (25, 0, "inside its data"),
        (26 + 11, 1, "inside its header"),
        (26 + 12 + 19, 1, "inside its data"),
        (62 + 1, 2, "inside its header"),
        (107, 2, "inside its data"),
    ],
)
def test_a_cut_is_named_by_record_and_place(path, size, number, place):
    path.write_bytes(path.read_bytes()[:size])
    records = read_records(path)
    assert list(islice(records, number)) == PAYLOADS[:number]
    with pytest.raises(DataError, match=rf"three\.tfrec: record {number} ends {place}"):
        next(records)


@pytest.mark.parametrize(
    ("offset", "number", "place"),
    [
        (0, 0, "damaged header"),
        (11, 0, "damaged header"),
        (12, 0, "damaged data"),
        (25, 0, "damaged data"),
        (26 + 7, 1, "damaged header"),
        (62 + 12 + 29, 2, "damaged data"),
        (107, 2, "damaged data"),
    ],
)
def test_a_flipped_bit_is_named_by_record_and_place(path, offset, number, place):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0b100
    path.write_bytes(data)
    records = read_records(path)
    assert list(islice(records, number)) == PAYLOADS[:number]
    with pytest.raises(DataError, match=rf"three\.tfrec: record {number} has .*{place}"):
        next(records)


@pytest.mark.parametrize("name", ["cifar10_test.tfrecord", "mnist.tfrecord", "test_tiny.tfrecord"])
def test_files_that_others_wrote_are_read(real_data, name):
    path = real_data / "tfrecords" / name
    theirs = tf.data.TFRecordDataset(str(path)).take(50)
    assert list(islice(read_records(path), 50)) == list(theirs.as_numpy_iterator())
