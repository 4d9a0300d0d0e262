"""One run at a time in a folder.

On this machine a lock of the operating system, which ends with the process however that ends. In a bucket an object
that is written anew every few seconds for as long as the run lives. A random token tells whose it is, and its beats
whether it lives: names and numbers of machines and processes are equal in containers.
"""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from pathlib import Path

from tfrecords_tools.foundation.errors import DataError, MissingFileError
from tfrecords_tools.foundation.files import (
    AnyPath,
    create,
    is_remote,
    list_files,
    read_text,
    remove,
    write_atomically,
)

LOCK_FILE = "LOCK"

_BEAT_SECONDS = 15.0
_SETTLE_SECONDS = 2.0


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
            if self._is_own():
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
        self._token = secrets.token_hex(16)
        path, text = self._folder / LOCK_FILE, self._signature()
        if not create(path, text) and not self._is_own():  # its own, if the answer to the first try was lost
            if self._is_alive():
                raise DataError(_in_use_message(self._folder))
            remove(path)
            create(path, text)
            time.sleep(min(_SETTLE_SECONDS, self._beat_seconds))  # others may have found the same lock dead
            if not self._is_own():
                raise DataError(_in_use_message(self._folder))
        self._beats = threading.Thread(target=self._beat, daemon=True)
        self._beats.start()

    def _is_own(self) -> bool:
        try:
            return _read_holder(self._folder).get("token") == self._token
        except MissingFileError:
            return False

    def _is_alive(self) -> bool:
        """Returns whether the holder of a bucket's lock shows a sign of life within three beats."""
        before = self._versions()
        try:
            holder = _read_holder(self._folder)
        except MissingFileError:
            return False  # given free just now
        if _is_gone(holder):
            return False
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
                if not self._is_own():
                    return  # somebody took this process for dead
                write_atomically(self._folder / LOCK_FILE, self._signature())

    def _signature(self) -> str:
        return json.dumps({"token": self._token, "host": socket.gethostname(), **_process(os.getpid())})


def is_held(folder: Path) -> bool:
    """Returns whether a run is at work in a folder of this machine, or of a disk that it shares with others."""
    if not folder.is_dir():
        return False
    try:
        FolderLock(folder).release()
    except DataError:
        return True
    return False


def _read_holder(folder: AnyPath) -> dict:
    try:
        holder = json.loads(read_text(folder / LOCK_FILE))
    except json.JSONDecodeError:
        holder = None
    return holder if isinstance(holder, dict) else {}  # no run of ours writes anything else


def _process(pid: int) -> dict[str, int | str]:
    """Returns what no other process has, on Linux: this boot, the processes that it counts among, number and start."""
    found: dict[str, int | str] = {"pid": pid}
    with contextlib.suppress(OSError):
        found["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        found["namespace"] = os.readlink("/proc/self/ns/pid")
        found["started"] = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()[19]
    return found


def _is_gone(holder: dict) -> bool:
    """Returns whether a holder was a process among those of this one, and runs no more; False if it cannot be told."""
    own = _process(os.getpid())
    if "started" not in own or any(holder.get(name) != own[name] for name in ("boot", "namespace")):
        return False
    return _process(holder["pid"]).get("started") != holder.get("started")


def _in_use_message(folder: AnyPath) -> str:
    return f"{folder}: another run is at work in this folder; wait for its end, or choose another folder"
