"""Documents: dataclasses and the JSON files that stand for them."""

import json
import math
from dataclasses import dataclass

import pytest

from tfrecords_tools.foundation.documents import (
    as_plain,
    from_plain,
    read_document,
    read_plain,
    stored,
    write_document,
)
from tfrecords_tools.foundation.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Part:
    origin: str = stored("from")
    sha256: str = stored(default="", omit_default=True)


@dataclass(frozen=True, kw_only=True)
class Report:
    counts: tuple[int, ...]
    parts: dict[str, tuple[Part, ...]]
    best: Part | None = None


REPORT = Report(counts=(1, 2), parts={"0": (Part(origin="a"), Part(origin="b", sha256="0c"))})
PLAIN = {"counts": [1, 2], "parts": {"0": [{"from": "a"}, {"from": "b", "sha256": "0c"}]}, "best": None}


def test_fields_have_their_names_in_the_file_and_are_left_out_where_that_is_declared():
    plain = json.loads(json.dumps(as_plain(REPORT)))
    assert plain == PLAIN
    assert list(plain) == ["counts", "parts", "best"]


def test_a_document_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "report.json"
    write_document(path, REPORT)
    assert json.loads(path.read_text()) == PLAIN
    assert read_document(path, Report, "again") == REPORT


def test_keys_of_another_version_are_left_out_and_missing_ones_have_their_defaults():
    assert from_plain(Report, {"counts": [], "parts": {}, "later": 1}) == Report(counts=(), parts={})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"parts": {}}', '{"counts": ["x"], "parts": {}}'])
def test_a_damaged_document_is_refused_with_the_file_and_the_remedy(tmp_path, text):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"report\.json: damaged .*; make it again"):
        read_document(path, Report, "make it again")


def test_bytes_that_are_no_text_are_refused_with_the_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(DataError, match=r"report\.json: damaged"):
        read_plain(path, "make it again")


@dataclass(frozen=True, kw_only=True)
class Numbers:
    value: float
    by_name: dict[str, float]


def test_numbers_that_are_not_finite_are_null_in_the_file_and_nan_when_read(tmp_path):
    path = tmp_path / "report.json"
    write_document(path, Numbers(value=math.nan, by_name={"a": 1.5, "b": math.inf}))
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == {"value": None, "by_name": {"a": 1.5, "b": None}}
    read = read_document(path, Numbers, "again")
    assert math.isnan(read.value)
    assert read.by_name["a"] == 1.5
    assert math.isnan(read.by_name["b"])
