"""Records: the framing is TensorFlow's, and damage is found and named by its record number."""

import gzip
import tracemalloc
from itertools import islice

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.records import decompressed, frame, read_records, require_room, scan_records

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
        (5, 0, "header"),
        (12, 0, "data"),
        (25, 0, "data"),
        (26 + 11, 1, "header"),
        (26 + 12 + 19, 1, "data"),
        (62 + 1, 2, "header"),
        (107, 2, "data"),
    ],
)
def test_a_cut_is_named_by_record_and_place(path, size, number, place):
    path.write_bytes(path.read_bytes()[:size])
    records = read_records(path)
    assert list(islice(records, number)) == PAYLOADS[:number]
    with pytest.raises(DataError, match=rf"three\.tfrec: record {number} .*{place}"):
        next(records)


@pytest.mark.parametrize(
    ("offset", "number", "place"),
    [
        (0, 0, "header"),
        (11, 0, "header"),
        (12, 0, "data"),
        (25, 0, "data"),
        (26 + 7, 1, "header"),
        (62 + 12 + 29, 2, "data"),
        (107, 2, "data"),
    ],
)
def test_a_flipped_bit_is_named_by_record_and_place(path, offset, number, place):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0b100
    path.write_bytes(data)
    records = read_records(path)
    assert list(islice(records, number)) == PAYLOADS[:number]
    with pytest.raises(DataError, match=rf"three\.tfrec: record {number} .*{place}"):
        next(records)


@pytest.mark.parametrize("name", ["cifar10_test.tfrecord", "mnist.tfrecord", "test_tiny.tfrecord"])
def test_files_that_others_wrote_are_read(real_data, name):
    path = real_data / "tfrecords" / name
    theirs = tf.data.TFRecordDataset(str(path)).take(50)
    assert list(islice(read_records(path), 50)) == list(theirs.as_numpy_iterator())


def scan(path):
    with path.open("rb") as file:
        return list(scan_records(decompressed(file, file)))


def flip(path, *offsets):
    data = bytearray(path.read_bytes())
    for offset in offsets:
        data[offset] ^= 0b100
    path.write_bytes(data)


def test_a_scan_goes_on_after_damaged_data(path):
    flip(path, 12, 62 + 12)
    first, second, third = scan(path)
    assert (first.number, first.offset, first.payload, first.framed) == (0, 0, None, True)
    assert (second.number, second.offset, second.payload, second.problem) == (1, 26, PAYLOADS[1], "")
    assert (third.number, third.offset, third.payload) == (2, 62, None)
    assert first.problem == third.problem
    assert "checksum" in first.problem


def test_a_scan_ends_at_a_damaged_header(path):
    flip(path, 26 + 3)
    first, second = scan(path)
    assert first.payload == PAYLOADS[0]
    assert (second.number, second.offset, second.payload, second.framed) == (1, 26, None, False)


def header(length):
    """A header whose checksum is right, whatever length it claims."""
    data = length.to_bytes(8, "little")
    crc = google_crc32c.value(data)
    return data + ((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def test_a_sound_header_that_claims_more_than_its_file_holds_is_a_cut(tmp_path):
    path = tmp_path / "large.tfrec"
    path.write_bytes(header(2**31 - 1) + b"x" * 100)
    (record,) = scan(path)
    assert record.problem.startswith("ends inside its data (100 of")
    assert not record.framed


@pytest.mark.parametrize("claimed", [2**31, 2**40, 2**62, 2**63, 2**64 - 1])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_sound_header_that_claims_more_than_any_record_has_ends_the_scan(tmp_path, claimed, compress):
    path = tmp_path / "huge.tfrec"
    path.write_bytes(compress(frame(b"sound") + header(claimed) + b"x" * 100))
    first, second = scan(path)
    assert first.payload == b"sound"
    assert (second.number, second.offset, second.payload, second.framed) == (1, 21, None, False)
    assert str(claimed) in second.problem
    with pytest.raises(DataError, match=rf"huge\.tfrec: record 1 .*{claimed}"):
        list(read_records(path))


def test_little_memory_is_taken_by_what_a_compressed_header_claims(tmp_path):
    path = tmp_path / "zeros.tfrec"
    path.write_bytes(gzip.compress(header(2**62) + bytes(200_000_000), compresslevel=1))
    tracemalloc.start()
    scan(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_headers_with_room_for_their_records_pass(path, tmp_path):
    require_room(path)
    (tmp_path / "empty.tfrec").write_bytes(b"")
    require_room(tmp_path / "empty.tfrec")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (header(2**62) + b"x" * 50, rf"record 0 at byte 0 .*{2**62}"),
        (frame(b"sound") + header(51) + b"x" * 54, "record 1 at byte 21 claims 67 bytes where 66 are left"),
        (frame(b"sound") + b"x" * 40, "record 1 at byte 21 has a damaged header"),
        (frame(b"sound") * 2 + b"x" * 7, "record 2 at byte 42 ends inside its header"),
    ],
)
def test_a_header_that_cannot_be_right_is_named_with_its_place(tmp_path, content, problem):
    (tmp_path / "x.tfrec").write_bytes(content)
    with pytest.raises(DataError, match=rf"{tmp_path}/x\.tfrec: {problem}"):
        require_room(tmp_path / "x.tfrec")


def test_records_larger_than_the_pieces_they_are_read_in(tmp_path):
    path = tmp_path / "large.tfrec"
    payloads = [bytes(3_000_000), b"y"]
    path.write_bytes(b"".join(frame(payload) for payload in payloads))
    assert list(read_records(path)) == payloads


@pytest.mark.parametrize("kind", ["GZIP", "ZLIB"])
def test_compressed_files_of_tensorflow_s_writer_are_read(tmp_path, kind):
    path = tmp_path / "compressed.tfrec"
    rng = np.random.default_rng(0)
    payloads = [rng.bytes(1000), bytes(5_000_000), b"", rng.bytes(2_000_000)]
    with tf.io.TFRecordWriter(str(path), options=kind) as writer:
        for payload in payloads:
            writer.write(payload)
    assert list(read_records(path)) == payloads
    path.write_bytes(path.read_bytes()[:-9])
    *_, last = scan(path)
    assert last.problem.startswith("cannot be decompressed")
    assert (last.number, last.framed) == (3, False)


def test_gzip_members_in_a_row_are_one_file(tmp_path):
    path = tmp_path / "two.tfrecord.gz"
    path.write_bytes(gzip.compress(frame(b"one")) + gzip.compress(frame(b"two")))
    assert list(read_records(path)) == [b"one", b"two"]
    path.write_bytes(path.read_bytes() + b"rest")
    assert [record.payload for record in scan(path)] == [b"one", b"two", None]
