"""Files here and in a bucket behave alike, and a bucket's faults are survived or told in one line."""

import fcntl
from pathlib import Path

import pytest

from tfrecords_tools.foundation.errors import DataError, MissingFileError
from tfrecords_tools.foundation.files import (
    as_path,
    crc32c,
    download,
    file_crc32c,
    file_sha256,
    file_size,
    is_file,
    is_remote,
    leaves,
    list_files,
    publish,
    read_bytes,
    read_text,
    remove,
    remove_folder,
    write_atomically,
)

HELLO = b"hello world"
HELLO_CRC32C = "c99465aa"  # a published check value of CRC-32C


@pytest.fixture(params=["here", "bucket"])
def folder(request, tmp_path):
    if request.param == "here":
        return as_path(str(tmp_path / "folder"))
    return as_path(request.getfixturevalue("bucket"))


def test_paths_are_local_or_gs():
    assert as_path("/a/b") == Path("/a/b")
    assert not is_remote(as_path("a/b"))
    with pytest.raises(DataError, match="s3://bucket/x: .*gs://"):
        as_path("s3://bucket/x")


def test_what_was_written_is_read(folder):
    path = folder / "inner" / "ä ö.txt"
    write_atomically(path, "größe\n")
    assert read_text(path) == "größe\n"
    assert read_bytes(path) == "größe\n".encode()
    write_atomically(path, HELLO)
    assert (read_bytes(path), file_size(path), is_file(path)) == (HELLO, 11, True)
    assert file_crc32c(path) == crc32c(HELLO) == HELLO_CRC32C
    assert file_sha256(path) == "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"


@pytest.mark.parametrize("size", [1, 1000, (5 << 20) + 1])
@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"x"])
def test_whatever_a_file_ends_with_arrives(folder, tmp_path, end, size):
    """The last bytes of TFRecord files are a checksum; it may look like the end of a line."""
    data = b"\r" * (size - len(end)) + end
    write_atomically(folder / "written", data)
    file = tmp_path / "file"
    file.write_bytes(data)
    publish(file, folder / "published")
    assert read_bytes(folder / "written") == read_bytes(folder / "published") == data


def test_files_are_listed_by_name_with_their_size_and_a_version_that_changes(folder):
    for name, content in (("b.txt", b"12"), ("a.txt", b"1"), ("inner/c.txt", b"123")):
        write_atomically(folder / name, content)
    assert [(file.name, file.size) for file in list_files(folder)] == [("a.txt", 1), ("b.txt", 2)]
    everything = list_files(folder, recursive=True)
    assert [(file.name, file.size) for file in everything] == [("a.txt", 1), ("b.txt", 2), ("inner/c.txt", 3)]
    write_atomically(folder / "a.txt", b"1")
    assert list_files(folder)[0].version > everything[0].version
    assert list_files(folder / "nothing") == []


def test_a_published_file_moves_whole(folder, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.write_bytes(HELLO)
    write_atomically(folder / "other", b"")
    publish(temporary, folder / "final")
    assert read_bytes(folder / "final") == HELLO
    assert not temporary.exists()


def test_removing(folder):
    for name in ("a", "inner/b", "inner/more/c"):
        write_atomically(folder / name, b"1")
    remove(folder / "a")
    remove(folder / "a")
    assert [file.name for file in list_files(folder, recursive=True)] == ["inner/b", "inner/more/c"]
    remove_folder(folder / "inner")
    remove_folder(folder / "inner")
    assert list_files(folder, recursive=True) == []


def test_names_that_lead_out_of_a_folder(folder, tmp_path):
    write_atomically(folder / "a", b"1")
    assert not leaves(folder, "a")
    assert not leaves(folder, "inner/a")
    assert leaves(folder, "../a")
    assert leaves(folder, "inner/../../a")
    assert leaves(folder, str(tmp_path / "a"))


def test_a_link_leads_out_of_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path)
    assert leaves(tmp_path / "folder", "link")


def test_a_missing_file_of_a_bucket_is_named(bucket):
    with pytest.raises(MissingFileError, match=f"{bucket}/nothing: "):
        read_bytes(as_path(bucket) / "nothing")


def test_dropped_answers_are_asked_for_again(bucket, bucket_server):
    path = as_path(bucket) / "a"
    fault = bucket_server.inject("503", "POST", "/upload/", times=2)
    write_atomically(path, HELLO)
    assert fault.times == 0
    fault = bucket_server.inject("503", "GET", "/o/", times=2)
    assert read_bytes(path) == HELLO
    assert fault.times == 0


def test_a_byte_that_is_damaged_once_is_fetched_again(bucket, bucket_server):
    path = as_path(bucket) / "a"
    write_atomically(path, HELLO)
    fault = bucket_server.inject("corrupt", "GET", "alt=media", times=1)
    assert read_bytes(path) == HELLO
    assert fault.times == 0


def test_a_byte_that_is_damaged_every_time_is_named(bucket, bucket_server, tmp_path):
    path = as_path(bucket) / "a"
    write_atomically(path, HELLO)
    bucket_server.inject("corrupt", "GET", "alt=media")
    with pytest.raises(DataError, match=f"{bucket}/a: .*3 times .*{HELLO_CRC32C}"):
        read_bytes(path)
    with pytest.raises(DataError, match=f"{bucket}/a: .*3 times"):
        download(path, tmp_path, HELLO_CRC32C)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_bucket_that_never_answers_is_one_line(bucket, bucket_server):
    bucket_server.inject("503", "GET", "/o")
    with pytest.raises(DataError, match="503") as caught:
        read_bytes(as_path(bucket) / "a")
    assert "\n" not in str(caught.value)


def test_a_download_is_kept_and_renewed_only_if_it_is_damaged(bucket, bucket_server, tmp_path):
    path = as_path(bucket) / "a"
    write_atomically(path, HELLO)
    copy = download(path, tmp_path, HELLO_CRC32C)
    assert copy.read_bytes() == HELLO
    bucket_server.inject("503", "GET", "alt=media")
    assert download(path, tmp_path, HELLO_CRC32C) == copy
    bucket_server.faults.clear()
    copy.write_bytes(b"hello_world")
    assert download(path, tmp_path, HELLO_CRC32C).read_bytes() == HELLO


def test_unfinished_downloads_of_killed_processes_are_removed_and_no_others(bucket, tmp_path):
    path = as_path(bucket) / "hello"
    write_atomically(path, HELLO)
    folder = (tmp_path / str(path).removeprefix("gs://")).parent
    folder.mkdir(parents=True)
    abandoned, held = folder / ".unfinished-0-hello", folder / ".unfinished-1-hello"
    abandoned.write_bytes(HELLO[:2])
    with open(held, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        copy = download(path, tmp_path, HELLO_CRC32C)
    assert sorted(folder.iterdir()) == sorted([held, copy])
    assert copy.read_bytes() == HELLO
