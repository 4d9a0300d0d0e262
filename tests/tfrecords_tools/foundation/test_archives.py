"""Zip files as folders, by the functions that read folders."""

import os
import zipfile
from pathlib import Path

import pytest

from tfrecords_tools.foundation import archives
from tfrecords_tools.foundation.errors import DamagedFileError, DataError, MissingFileError
from tfrecords_tools.foundation.files import (
    file_crc32c,
    file_sha256,
    file_size,
    is_file,
    is_folder,
    is_in_archive,
    list_files,
    list_folders,
    open_bytes,
    read_bytes,
    read_text,
)

FILES = {"a.txt": "one", "images/x.jpg": "two" * 1000, "images/deep/y.jpg": "three", "B/z.jpg": "four"}


@pytest.fixture
def packed(tmp_path) -> Path:
    path = tmp_path / "set.ZIP"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in FILES.items():
            file.writestr(name, text)
        file.writestr("../outside.txt", "no")
        file.writestr("empty/", "")
    return path


@pytest.fixture
def unpacked(tmp_path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "set" / "empty").mkdir()
    return tmp_path / "set"


@pytest.mark.parametrize("place", ["", "images", "images/deep", "B", "empty", "nothing", "a.txt"])
def test_a_zip_file_is_listed_as_the_folder_that_it_was_made_of(packed, unpacked, place):
    for recursive in (False, True):
        listed = [
            [(file.name, file.size) for file in list_files(root / place, recursive=recursive)]
            for root in (packed, unpacked)
        ]
        assert listed[0] == listed[1]
    assert list_folders(packed / place) == list_folders(unpacked / place)
    assert is_folder(packed / place) == is_folder(unpacked / place)
    assert is_in_archive(packed / place) == bool(place)
    assert not is_in_archive(unpacked / place)


def test_files_are_read_as_those_of_the_folder(packed, unpacked):
    for name, text in FILES.items():
        assert is_file(packed / name)
        assert read_text(packed / name) == text
        assert file_size(packed / name) == len(text)
        with open_bytes(packed / name) as file:
            assert file.read(3) == text[:3].encode()
        for digest in (file_crc32c, file_sha256):
            assert digest(packed / name) == digest(unpacked / name)
    assert is_file(packed)
    assert read_bytes(packed)[:2] == b"PK"
    assert not is_file(packed / "images")
    with pytest.raises(MissingFileError, match="nothing.txt"):
        read_bytes(packed / "nothing.txt")


def test_zip_files_stand_among_the_folders_beside_them(packed, unpacked):
    assert list_folders(packed.parent) == ["set", "set.ZIP"]


def test_a_zip_file_that_is_written_anew_is_read_anew(packed):
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("other.txt", "other")
    os.utime(packed, ns=(1, 1))
    assert [file.name for file in list_files(packed)] == ["other.txt"]


def test_a_version_follows_from_the_contents(packed):
    before = {file.name: file.version for file in list_files(packed, recursive=True)}
    with zipfile.ZipFile(packed, "w") as file:
        for name, text in FILES.items():
            file.writestr(name, "new" if name == "a.txt" else text)
    os.utime(packed, ns=(1, 1))
    after = {file.name: file.version for file in list_files(packed, recursive=True)}
    assert {name for name in FILES if before[name] != after[name]} == {"a.txt"}


def test_what_cannot_be_taken_out_is_told(tmp_path, monkeypatch):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("damaged.jpg", "some bytes")
        file.writestr("locked.jpg", "secret")
        file.writestr("large.jpg", "x" * 50)
    data = path.read_bytes().replace(b"some bytes", b"same bytes")
    central = data.index(b"PK\x01\x02", data.index(b"locked.jpg") + 20)
    locked = data.rindex(b"PK\x01\x02", 0, data.rindex(b"locked.jpg"))
    assert central < locked
    path.write_bytes(data[: locked + 8] + bytes([data[locked + 8] | 1]) + data[locked + 9 :])  # encrypted, it says
    monkeypatch.setattr(archives, "_MOST_BYTES", 40)
    for name, told in (("damaged.jpg", "CRC"), ("locked.jpg", "password"), ("large.jpg", "50 bytes")):
        with pytest.raises(DamagedFileError, match=told):
            read_bytes(path / name)


def test_what_is_no_zip_file_is_told(tmp_path):
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"cut\.zip"):
        list_files(tmp_path / "cut.zip")
