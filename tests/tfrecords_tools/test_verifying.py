"""Verifying: intact shards pass, and every broken one is named with what is wrong."""

from dataclasses import replace

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf

from tests.tfrecords_tools.tiny_shards import shard_jobs
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import file_crc32c
from tfrecords_tools.records import frame, read_records
from tfrecords_tools.shards import write_shard
from tfrecords_tools.verifying import (
    FileCheck,
    expected_records,
    file_problems,
    missing_numbered_files,
    verify_shards,
)


@pytest.fixture
def entries(tmp_path):
    return [write_shard(job).entry for job in shard_jobs(tmp_path / "images", tmp_path, num_shards=3)]


def flip(path, offset=-1):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_intact_shards_pass(tmp_path, entries):
    verify_shards(tmp_path, entries)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "bytes"),
        (flip, "checksum"),
        (lambda path: flip(path, 100), "checksum"),
    ],
    ids=["missing", "longer", "flip at the end", "flip inside"],
)
def test_a_broken_shard_is_named_with_what_is_wrong(tmp_path, entries, damage, problem):
    damage(tmp_path / "train01-2.tfrec")
    with pytest.raises(DataError, match=rf"train01-2\.tfrec: .*{problem}.*make_shards") as error:
        verify_shards(tmp_path, entries)
    assert "train00" not in str(error.value)


def test_a_cut_between_records_which_tensorflow_does_not_notice_is_found(tmp_path, entries):
    path = tmp_path / entries[0].file
    first, _ = read_records(path)
    path.write_bytes(path.read_bytes()[: len(first) + 16])
    assert len(list(tf.data.TFRecordDataset(str(path)))) == 1
    with pytest.raises(DataError, match=rf"{len(first) + 16} bytes.*{entries[0].bytes}"):
        verify_shards(tmp_path, entries)


def test_a_length_that_nobody_could_read_is_refused_though_the_manifest_vouches_for_it(tmp_path, entries):
    # TensorFlow's own reader is killed by SIGSEGV there.
    path = tmp_path / entries[1].file
    length = (2**62).to_bytes(8, "little")
    crc = google_crc32c.value(length)
    header = length + ((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")
    path.write_bytes(path.read_bytes() + header + b"x" * 100)
    forged = replace(entries[1], bytes=path.stat().st_size, crc32c=file_crc32c(path))
    with pytest.raises(DataError, match=rf"{path}: record 2 at byte {entries[1].bytes} .*{2**62}"):
        verify_shards(tmp_path, [entries[0], forged, entries[2]])


def test_all_broken_shards_are_named_at_once(tmp_path, entries):
    (tmp_path / "train00-2.tfrec").unlink()
    flip(tmp_path / "train02-2.tfrec")
    with pytest.raises(DataError, match=r"train00-2\.tfrec: .*; .*train02-2\.tfrec: "):
        verify_shards(tmp_path, entries)


def write(path, *payloads):
    path.write_bytes(b"".join(frame(payload) for payload in payloads))
    return path


def check(path, entry=None, targets=None):
    """All problems of a file as (record, reason), and the sound payloads."""
    finished = FileCheck(path)
    sound = [record.payload for record in finished.sound_records()]
    problems = finished.problems + file_problems(finished, entry, targets)
    return [(problem.record, problem.reason) for problem in problems], sound


# Records of 26 bytes each, so they begin at 0, 26 and 52.
THREE = (b"a" * 10, b"b" * 10, b"c" * 10)


def test_a_sound_file_has_its_count_size_and_checksum(tmp_path):
    path = write(tmp_path / "train00-3.tfrec", *THREE)
    finished = FileCheck(path)
    assert [record.payload for record in finished.sound_records()] == list(THREE)
    assert (finished.records, finished.position, finished.problems) == (3, 78, [])
    assert finished.crc32c == file_crc32c(path)
    assert file_problems(finished, None, None) == []


def test_every_damaged_record_is_named_not_only_the_first(tmp_path):
    path = write(tmp_path / "x.tfrecord", *THREE)
    flip(path, 12)
    flip(path, 77)
    problems, sound = check(path)
    assert problems == [(0, "has damaged data (checksum differs)"), (2, "has damaged data (checksum differs)")]
    assert sound == [THREE[1]]


@pytest.mark.parametrize("offset", [26, 26 + 7, 26 + 8, 26 + 11], ids=["length", "length", "its crc", "its crc"])
def test_after_a_damaged_header_the_rest_is_given_up_aloud(tmp_path, offset):
    path = write(tmp_path / "train00-3.tfrec", *THREE)
    flip(path, offset)
    problems, sound = check(path)
    assert problems == [
        (1, "has a damaged header; what follows in this file cannot be told apart into records"),
        (None, "holds 1 of the 3 records that its name says"),
    ]
    assert sound == [THREE[0]]


@pytest.mark.parametrize(
    ("name", "keep", "reasons"),
    [
        ("train00-3.tfrec", 52, ["holds 2 of the 3 records that its name says"]),
        ("three.tfrecord", 52, []),  # nothing can tell
        ("three.tfrecord", 57, ["ends inside its header (5 of 12 bytes)"]),
        ("three.tfrecord", 70, ["ends inside its data (6 of 14 bytes)"]),
        ("three.tfrecord", 0, ["the file is empty"]),
        ("train00-0.tfrec", 0, []),
        ("train00-3.tfrec", 0, ["the file is empty"]),
        ("three.tfrecord", 12, ["ends inside its data (0 of 14 bytes)", "the file holds no whole record"]),
    ],
)
def test_every_kind_of_cut(tmp_path, name, keep, reasons):
    path = write(tmp_path / name, *THREE)
    path.write_bytes(path.read_bytes()[:keep])
    found = [reason for _, reason in check(path)[0]]
    assert len(found) == len(reasons)
    assert all(reason.startswith(start) for reason, start in zip(found, reasons, strict=True))


def test_trailing_bytes_are_found(tmp_path):
    path = write(tmp_path / "x.tfrecord", *THREE)
    path.write_bytes(path.read_bytes() + bytes(20))
    ((record, reason),), sound = check(path)
    assert (record, sound) == (3, list(THREE))
    assert reason.startswith("has a damaged header")


def test_a_file_of_another_kind_is_said_to_be_perhaps_no_tfrecord(tmp_path):
    (tmp_path / "x.tfrec").write_bytes(b"ID3 some music" * 10)
    assert check(tmp_path / "x.tfrec")[0][0][1].endswith("either damaged, or no TFRecord file at all")


def test_the_manifest_s_count_size_checksum_and_classes_are_compared(tmp_path, entries):
    entry, path = entries[0], tmp_path / entries[0].file
    assert (entry.records, entry.class_counts) == (2, (1, 1))
    assert check(path, entry, {0: 1, 1: 1})[0] == []
    assert check(path, entry, {0: 2})[0] == [(None, "its classes have 2, 0 records, but the manifest says 1, 1")]
    first, second = read_records(path)
    write(path, second, first)
    assert "its checksum is" in check(path, entry)[0][0][1]
    write(path, first)
    assert check(path, entry)[0] == [
        (None, "holds 1 of the 2 records that the manifest says"),
        (None, f"has {len(first) + 16} bytes, but the manifest says {entry.bytes}"),
    ]


def test_any_flipped_byte_of_a_shard_is_found_with_the_record_it_is_in(tmp_path, entries):
    path = tmp_path / entries[0].file
    intact = path.read_bytes()
    second = len(next(read_records(path))) + 16
    rng = np.random.default_rng(0)
    for offset in rng.choice(len(intact), 200, replace=False):
        data = bytearray(intact)
        data[offset] ^= rng.integers(1, 256)
        path.write_bytes(data)
        problems, sound = check(path)
        assert problems[0][0] == int(offset >= second), offset
        assert len(sound) < 2


def test_a_file_that_cannot_be_read_is_a_problem_and_no_crash(tmp_path):
    (tmp_path / "x.tfrec").mkdir()
    ((record, reason), *_), _ = check(tmp_path / "x.tfrec")
    assert record is None
    assert reason == "cannot be read (Is a directory)"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("train00-2071.tfrec", 2071),
        ("00-512x512-798.tfrec", 798),
        ("train-0.tfrec", 0),
        ("train.tfrec", None),
        ("cifar-10.tfrecord", None),
        ("x.tfrecord-00000-of-00005", None),
    ],
)
def test_the_count_in_a_name(name, count):
    assert expected_records(name) == count


def test_missing_files_of_a_numbered_set_are_named():
    names = ["a.tfrecord-00000-of-00003", "a.tfrecord-00002-of-00003", "b-0-of-2", "b-1-of-2", "c.tfrec"]
    assert missing_numbered_files(names) == ["a.tfrecord-00001-of-00003"]
