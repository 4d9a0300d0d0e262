"""Files of a source: refused for what they are, never for what the system cannot do now."""

import errno
import os

import pytest

from tfrecords_tools import source_files
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import MISSING_SIZE, ListedFile
from tfrecords_tools.images import RefusedImage
from tfrecords_tools.scanning import ScanJob, scan_files
from tfrecords_tools.source_files import read_source_file

OF_THE_SYSTEM = [errno.EIO, errno.EMFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT, errno.EACCES, errno.ENODEV]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(source_files.time, "sleep", lambda seconds: None)


@pytest.fixture
def fails(monkeypatch, tmp_path):
    """Lets the first reads of the one file fail; returns how many have been tried."""
    (tmp_path / "a.jpg").write_bytes(b"data")
    tried, read = [], source_files.read_bytes

    def fail(error, times):
        def read_bytes(path):
            tried.append(path)
            if len(tried) <= times:
                raise OSError(error, os.strerror(error), str(path))
            return read(path)

        monkeypatch.setattr(source_files, "read_bytes", read_bytes)
        return tried

    return fail


@pytest.mark.parametrize("error", OF_THE_SYSTEM, ids=errno.errorcode.get)
def test_an_error_of_the_system_is_tried_again(fails, tmp_path, error):
    tried = fails(error, times=2)
    assert read_source_file(tmp_path, "a.jpg", 4) == b"data"
    assert len(tried) == 3


@pytest.mark.parametrize("error", OF_THE_SYSTEM, ids=errno.errorcode.get)
@pytest.mark.parametrize("size", [4, MISSING_SIZE])
def test_an_error_of_the_system_that_stays_stops_the_run_and_refuses_nothing(fails, tmp_path, error, size):
    fails(error, times=9)
    with pytest.raises(DataError, match=f"{tmp_path}/a.jpg: ") as stopped:
        read_source_file(tmp_path, "a.jpg", size)
    assert not isinstance(stopped.value, RefusedImage)
    assert os.strerror(error) in str(stopped.value)


@pytest.mark.parametrize("name", ["gone.jpg", "folder", "a.jpg/inside.jpg", "x" * 300, "loop.jpg"])
def test_a_file_that_never_was_there_is_refused_and_one_that_is_gone_stops_the_run(tmp_path, name):
    (tmp_path / "a.jpg").write_bytes(b"data")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(RefusedImage):
        read_source_file(tmp_path, name, MISSING_SIZE)
    if name != "loop.jpg":
        with pytest.raises(DataError, match=name) as stopped:
            read_source_file(tmp_path, name, 4)
        assert not isinstance(stopped.value, RefusedImage)


def test_a_path_that_leaves_the_folder_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out.jpg").write_bytes(b"data")
    with pytest.raises(RefusedImage, match="leaves"):
        read_source_file(tmp_path / "in", "../out.jpg", 4)


def test_a_scan_does_not_remember_that_it_could_not_read(fails, tmp_path):
    """Once the disk is well, the picture is looked into; before, the run stopped."""
    fails(errno.EIO, times=3)
    listed = ListedFile("a.jpg", 4, 1)
    job = ScanJob(name="scan", folder=str(tmp_path / "parts"), root=str(tmp_path), files=(listed,), look_alikes=False)
    with pytest.raises(DataError, match="a.jpg"):
        scan_files(job)
    assert not (tmp_path / "parts" / "scan.json").exists()
    (scanned,) = scan_files(job).scanned
    assert scanned.crc32c is not None
