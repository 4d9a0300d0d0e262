"""Temporary files: in one folder of each process, gone with it, or removed by the next one."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipelines.contract.temporary import own_temporary_folder
from tests.conftest import ROOT


@pytest.fixture
def place(tmp_path_factory, monkeypatch) -> Path:
    folder = tmp_path_factory.mktemp("t")  # the paths of sockets are short
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def holder(place):
    """A process that holds a temporary folder with a file in it, and waits."""
    code = """
import tempfile, time
from pathlib import Path
from pipelines.contract.temporary import own_temporary_folder
with own_temporary_folder() as folder:
    Path(tempfile.mkdtemp(), "file").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_temporary_files_of_a_process_and_its_children_lie_there_and_go_with_it(place):
    with own_temporary_folder() as folder:
        assert folder.parent == place
        assert Path(tempfile.mkdtemp()).parent == folder
        code = "import tempfile; print(tempfile.gettempdir())"
        printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert printed.strip() == str(folder)
    assert list(place.iterdir()) == []
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(place)


def test_the_sockets_of_workers_go_too_without_a_word(place):
    code = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pipelines.contract.temporary import own_temporary_folder
if __name__ == "__main__":
    with own_temporary_folder() as folder, ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:
        print(pool.submit(abs, -5).result(), *(path.name[:5] for path in folder.iterdir()))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["5", "pymp-"]
    assert run.stderr == ""
    assert list(place.iterdir()) == []


def test_a_folder_is_removed_once_its_process_was_killed_and_not_before(place, holder):
    process, theirs = holder
    with own_temporary_folder():
        assert [file.name for file in theirs.rglob("file")] == ["file"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert theirs.is_dir()
    with own_temporary_folder() as ours:
        assert list(place.iterdir()) == [ours]


def test_a_process_that_was_started_by_another_lies_beside_it_and_survives_it(place):
    with own_temporary_folder() as outer, own_temporary_folder() as inner:
        assert inner.parent == outer.parent == place


def test_a_place_with_a_long_path_is_used_itself_for_sockets_have_short_ones(place, monkeypatch):
    long = place / ("x" * 61)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with own_temporary_folder() as folder:
        assert folder == long
        assert tempfile.gettempdir() == str(long)
    assert long.is_dir()


def test_what_is_no_folder_of_ours_stays(place):
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("x")
    (place / "melgan-link").symlink_to(elsewhere)
    (place / "melgan-file").write_text("x")
    with own_temporary_folder():
        pass
    assert sorted(path.name for path in place.iterdir()) == ["elsewhere", "melgan-file", "melgan-link"]
    assert (elsewhere / "kept").exists()
