"""Rows of a shard: read as written, one line each, here and in a bucket."""

import json

import pytest

from tfrecords_tools.foundation.files import as_path, read_text
from tfrecords_tools.rows import MaskFile, Row, read_rows, write_rows

ROWS = [
    Row(source=0, file="jpeg/a.jpg", size=12, version=2**60, crc32c="e3069283", fields={"image_name": "a", "sex": -1}),
    Row(source=0, file="b.jpg", size=9, version=1, crc32c=None, fields={}, boxes=[[0.1, 2.0, 3.5, 4.0], [0, 0, 1, 1]]),
    Row(source=0, file="c.jpg", size=9, version=1, crc32c=None, fields={}, mask=MaskFile("c.png", 7, "e3069283")),
    Row(source=1, file="jpeg/näevus 病\u2028変\n.PNG", size=-1, version=0, crc32c=None, fields={"image_name": "é\x85"}),
]


@pytest.fixture(params=["here", "bucket"])
def path(request, tmp_path):
    folder = str(tmp_path) if request.param == "here" else request.getfixturevalue("bucket")
    return as_path(folder) / "parts" / "train00.rows.jsonl"


def test_rows_are_read_as_they_were_written(path):
    write_rows(path, iter(ROWS))
    assert list(read_rows(path)) == ROWS
    write_rows(path, ROWS[:1])
    assert list(read_rows(path)) == ROWS[:1]


def test_no_rows_are_no_rows(path):
    write_rows(path, [])
    assert list(read_rows(path)) == []


def test_every_row_is_one_line_of_json(path):
    write_rows(path, ROWS)
    lines = read_text(path).split("\n")
    assert [json.loads(line)["file"] for line in lines[:-1]] == [row.file for row in ROWS]
    assert lines[-1] == ""
