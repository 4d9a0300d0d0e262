"""One run at a time in a folder.

On this machine a lock of the operating system, which ends with the process however that ends. In a bucket an object
that is written anew every few seconds for as long as the run lives.
"""

import contextlib
import fcntl
import json
import os
import socket
import threading
import time

from tfrecords_tools.foundation.errors import DataError, MissingFileError
from tfrecords_tools.foundation.files import (
    AnyPath,
    is_file,
    is_remote,
    list_files,
    read_text,
    remove,
    write_atomically,
)

LOCK_FILE = "LOCK"

_BEAT_SECONDS = 15.0


class FolderLock:
    """Holds a folder until `release`, or until the process ends."""

    def __init__(self, folder: AnyPath, *, beat_seconds: float = _BEAT_SECONDS) -> None:
        """Takes the lock.

        Raises:
          DataError: if another run holds it.
        """
        self._folder, self._beat_seconds = folder, beat_seconds
        self._released = threading.Event()
        self._descriptor: int | None = None
        if is_remote(folder):
            self._take_remote()
        else:
            self._take_local()

    def release(self) -> None:
        """Gives the folder free."""
        self._released.set()
        if is_remote(self._folder):
            self._beats.join()
            remove(self._folder / LOCK_FILE)
        elif self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _take_local(self) -> None:
        self._descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise DataError(_in_use_message(self._folder)) from error

    def _take_remote(self) -> None:
        if is_file(self._folder / LOCK_FILE) and self._is_alive():
            raise DataError(_in_use_message(self._folder))
        write_atomically(self._folder / LOCK_FILE, _signature())
        self._beats = threading.Thread(target=self._beat, daemon=True)
        self._beats.start()

    def _is_alive(self) -> bool:
        """Returns whether the holder of a bucket's lock shows a sign of life within three beats."""
        before = self._versions()
        try:
            holder = json.loads(read_text(self._folder / LOCK_FILE))
        except MissingFileError:
            return False  # given free just now
        if holder["host"] == socket.gethostname() and not _is_running(holder["pid"]):
            return False  # if it runs, it may still be another process: a container gives its first one the same number
        end = time.monotonic() + 3 * self._beat_seconds
        while time.monotonic() < end:
            time.sleep(self._beat_seconds / 4)
            if (now := self._versions()) != before:
                return bool(now)
        return False

    def _versions(self) -> list[int]:
        return [file.version for file in list_files(self._folder) if file.name == LOCK_FILE]

    def _beat(self) -> None:
        while not self._released.wait(self._beat_seconds):
            with contextlib.suppress(DataError):  # the run itself meets, and tells, what ails the bucket
                write_atomically(self._folder / LOCK_FILE, _signature())


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _signature() -> str:
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid()})


def _in_use_message(folder: AnyPath) -> str:
    return f"{folder}: another run is at work in this folder; wait for its end, or choose another folder"
