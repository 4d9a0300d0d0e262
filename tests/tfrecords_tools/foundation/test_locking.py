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
from tfrecords_tools.foundation.locking import LOCK_FILE, FolderLock, is_held

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


def write_lock(folder: AnyPath, **holder: str | int) -> None:
    write_atomically(
        folder / LOCK_FILE, json.dumps({"token": "another", "host": "another-machine", "pid": 1, **holder})
    )


@contextmanager
def beating_lock(folder: AnyPath, **holder: str | int) -> Iterator[None]:
    """Keeps a lock of somebody else alive."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            write_lock(folder, **holder)

    write_lock(folder, **holder)
    beats = threading.Thread(target=beat)
    beats.start()
    try:
        yield
    finally:
        ended.set()
        beats.join()


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


def test_whether_a_folder_of_this_machine_is_held_can_be_asked_without_taking_it(tmp_path):
    assert not is_held(tmp_path)
    lock = FolderLock(tmp_path)
    assert is_held(tmp_path)
    lock.release()
    assert not is_held(tmp_path)
    assert not is_held(tmp_path / "none")


def test_another_folder_is_free(folder):
    inner = folder / "inner"
    if not is_remote(folder):
        inner.mkdir()
    first, second = FolderLock(folder, beat_seconds=BEAT), FolderLock(inner, beat_seconds=BEAT)
    first.release()
    second.release()


def test_a_lock_in_a_bucket_says_whose_it_is_and_beats(bucket):
    lock = FolderLock(as_path(bucket), beat_seconds=0.1)
    holder = json.loads(read_text(as_path(bucket) / LOCK_FILE))
    assert (holder["host"], holder["pid"]) == (socket.gethostname(), os.getpid())
    assert len(holder["token"]) == 32
    first = list_files(as_path(bucket))[0].version
    wait_for(lambda: list_files(as_path(bucket))[0].version > first)
    lock.release()
    assert not is_file(as_path(bucket) / LOCK_FILE)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_lock_of_a_process_of_this_machine_that_is_gone_is_taken_at_once(bucket):
    with holder(as_path(bucket)) as gone:
        gone.kill()
        gone.wait()
    start = time.monotonic()
    FolderLock(as_path(bucket), beat_seconds=60).release()
    assert time.monotonic() - start < 30


def test_a_live_lock_of_a_container_with_the_same_name_and_number_is_respected(bucket):
    """There, no such process runs: its host and number are those of a process of this machine that has ended."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lock_of_the_container = beating_lock(as_path(bucket), host=socket.gethostname(), pid=gone.pid)
    with lock_of_the_container, pytest.raises(DataError, match=f"{bucket}: "):
        FolderLock(as_path(bucket), beat_seconds=BEAT)


def test_of_many_starts_at_one_moment_one_gets_the_lock(bucket):
    held, refused, ready = [], [], threading.Barrier(8)

    def start() -> None:
        ready.wait()
        try:
            held.append(FolderLock(as_path(bucket), beat_seconds=BEAT))
        except DataError as error:
            refused.append(error)

    starts = [threading.Thread(target=start) for _ in range(8)]
    for each in starts:
        each.start()
    for each in starts:
        each.join()
    assert (len(held), len(refused)) == (1, 7)
    held[0].release()


def test_of_many_that_find_a_dead_lock_one_gets_it(bucket):
    write_lock(as_path(bucket))
    test_of_many_starts_at_one_moment_one_gets_the_lock(bucket)


def test_a_lock_that_another_has_taken_is_left_to_it(bucket):
    lock = FolderLock(as_path(bucket), beat_seconds=0.1)
    write_lock(as_path(bucket))
    time.sleep(0.5)
    lock.release()
    assert json.loads(read_text(as_path(bucket) / LOCK_FILE))["token"] == "another"


@pytest.mark.parametrize("text", ["", "[]", "no JSON"])
def test_a_lock_of_nobody_is_taken_when_it_does_not_beat(bucket, text):
    write_atomically(as_path(bucket) / LOCK_FILE, text)
    FolderLock(as_path(bucket), beat_seconds=BEAT).release()


def test_the_lock_of_another_machine_is_taken_when_it_does_not_beat(bucket):
    write_lock(as_path(bucket))
    start = time.monotonic()
    FolderLock(as_path(bucket), beat_seconds=BEAT).release()
    assert time.monotonic() - start > 3 * BEAT


def test_the_lock_of_another_machine_that_beats_is_respected(bucket):
    with beating_lock(as_path(bucket)), pytest.raises(DataError, match=f"{bucket}: "):
        FolderLock(as_path(bucket), beat_seconds=BEAT)
    assert json.loads(read_text(as_path(bucket) / LOCK_FILE))["host"] == "another-machine"


def test_a_lock_that_is_given_free_while_it_is_looked_at_is_taken(bucket):
    write_lock(as_path(bucket))
    release = threading.Timer(1, (as_path(bucket) / LOCK_FILE).unlink)
    release.start()
    start = time.monotonic()
    FolderLock(as_path(bucket), beat_seconds=10).release()
    assert time.monotonic() - start < 15
