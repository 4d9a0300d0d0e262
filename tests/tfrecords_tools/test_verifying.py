"""Verifying: intact shards pass, and every broken one is named with what is wrong."""

import pytest
import tensorflow as tf
from tiny_shards import shard_jobs

from tfrecords_tools.errors import DataError
from tfrecords_tools.records import read_records
from tfrecords_tools.shards import write_shard
from tfrecords_tools.verifying import verify_shards


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
        (lambda path: path.unlink(), "the shard is missing"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "bytes, but the manifest says"),
        (flip, "damaged, its checksum is not the manifest's"),
        (lambda path: flip(path, 100), "damaged, its checksum is not the manifest's"),
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
    with pytest.raises(DataError, match=rf"{len(first) + 16} bytes, but the manifest says {entries[0].bytes}"):
        verify_shards(tmp_path, entries)


def test_all_broken_shards_are_named_at_once(tmp_path, entries):
    (tmp_path / "train00-2.tfrec").unlink()
    flip(tmp_path / "train02-2.tfrec")
    with pytest.raises(DataError, match=r"train00-2\.tfrec: .*; .*train02-2\.tfrec: "):
        verify_shards(tmp_path, entries)
