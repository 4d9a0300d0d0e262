"""Locks: one process at a time in a folder, and the next one after the first has ended, however that ended."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bucket_server import wait_for
from tests.conftest import ROOT
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import (
    AnyPath,
    as_path,
    is_file,
    is_remote,
    list_files,
    read_text,
    write_atomically,
)
from tfrecords_tools.foundation.locking import LOCK_FILE, FolderLock

BEAT = 0.4

_HOLDER = """
import sys, time
from tfrecords_tools.foundation.locking import FolderLock
from tfrecords_tools.foundation.files import as_path
lock = FolderLock(as_path(sys.argv[1]), beat_seconds=float(sys.argv[2]))
print("held", flush=True)
time.sleep(120)
"""


@contextmanager
def holder(folder: AnyPath) -> Iterator[subprocess.Popen]:
    """Another process that holds the folder until it is killed."""
    command = [sys.executable, "-c", _HOLDER, str(folder), str(BEAT)]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture(params=["here", "bucket"])
def folder(request, tmp_path):
    return as_path(str(tmp_path) if request.param == "here" else request.getfixturevalue("bucket"))


def write_lock(folder: AnyPath, host: str, pid: int) -> None:
    write_atomically(folder / LOCK_FILE, json.dumps({"host": host, "pid": pid}))


def test_a_second_process_is_refused_while_the_first_lives_and_enters_when_it_was_killed(folder):
    with holder(folder) as first:
        with pytest.raises(DataError, match=f"{folder}: "):
            FolderLock(folder, beat_seconds=BEAT)
        first.kill()
        first.wait()
        FolderLock(folder, beat_seconds=BEAT).release()


def test_a_released_folder_is_free_and_nothing_is_left_in_it(folder):
    for _ in range(2):
        FolderLock(folder, beat_seconds=BEAT).release()
    time.sleep(2 * BEAT)
    assert list_files(folder) == []


def test_a_process_does_not_hold_a_folder_twice(folder):
    first = FolderLock(folder, beat_seconds=BEAT)
    with pytest.raises(DataError, match=f"{folder}: "):
        FolderLock(folder, beat_seconds=BEAT)
    first.release()
    FolderLock(folder, beat_seconds=BEAT).release()


def test_another_folder_is_free(folder):
    inner = folder / "inner"
    if not is_remote(folder):
        inner.mkdir()
    first, second = FolderLock(folder, beat_seconds=BEAT), FolderLock(inner, beat_seconds=BEAT)
    first.release()
    second.release()


def test_a_lock_in_a_bucket_says_whose_it_is_and_beats(bucket):
    lock = FolderLock(as_path(bucket), beat_seconds=0.1)
    assert json.loads(read_text(as_path(bucket) / LOCK_FILE)) == {"host": socket.gethostname(), "pid": os.getpid()}
    first = list_files(as_path(bucket))[0].version
    wait_for(lambda: list_files(as_path(bucket))[0].version > first)
    lock.release()
    assert not is_file(as_path(bucket) / LOCK_FILE)


def test_the_lock_of_a_process_of_this_machine_that_is_gone_is_taken_at_once(bucket):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write_lock(as_path(bucket), socket.gethostname(), gone.pid)
    start = time.monotonic()
    FolderLock(as_path(bucket), beat_seconds=60).release()
    assert time.monotonic() - start < 30


def test_the_lock_of_a_number_that_another_process_has_now_is_taken_when_it_does_not_beat(bucket):
    write_lock(as_path(bucket), socket.gethostname(), os.getpid())
    FolderLock(as_path(bucket), beat_seconds=BEAT).release()


def test_the_lock_of_another_machine_is_taken_when_it_does_not_beat(bucket):
    write_lock(as_path(bucket), "another-machine", 1)
    start = time.monotonic()
    FolderLock(as_path(bucket), beat_seconds=BEAT).release()
    assert time.monotonic() - start > 3 * BEAT


def test_the_lock_of_another_machine_that_beats_is_respected(bucket):
    folder, ended = as_path(bucket), threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            write_lock(folder, "another-machine", 1)

    write_lock(folder, "another-machine", 1)
    beats = threading.Thread(target=beat)
    beats.start()
    with pytest.raises(DataError, match=f"{folder}: "):
        FolderLock(folder, beat_seconds=BEAT)
    ended.set()
    beats.join()
    assert json.loads(read_text(folder / LOCK_FILE))["host"] == "another-machine"


def test_a_lock_that_is_given_free_while_it_is_looked_at_is_taken(bucket):
    write_lock(as_path(bucket), "another-machine", 1)
    release = threading.Timer(1, (as_path(bucket) / LOCK_FILE).unlink)
    release.start()
    start = time.monotonic()
    FolderLock(as_path(bucket), beat_seconds=10).release()
    assert time.monotonic() - start < 15
