"""Files on this machine, in its zip files and in Google Cloud Storage: the one place that knows the difference.

A path is a `pathlib.Path`, or for gs:// a `upath.UPath`, which has the same interface; a zip file of this machine can
be read as a folder. What a bucket gives or takes is compared with its CRC-32C, because gcsfs hands on a damaged byte in
silence; what it refuses becomes one line.
"""

import base64
import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, Union

import google_crc32c

from tfrecords_tools.foundation import archives
from tfrecords_tools.foundation.bucket_errors import one_line_errors
from tfrecords_tools.foundation.errors import DataError

if TYPE_CHECKING:
    from upath import UPath

AnyPath: TypeAlias = Union[Path, "UPath"]  # noqa: UP007  a name yet unknown can be no operand of |


MISSING_SIZE = -1  # of a file that a table names and its folder lacks
_TRIES = 3
_CHUNK_BYTES = 1 << 20
_SMALL_BYTES = 5 << 20  # gcsfs sends larger files piece by piece
_UNFINISHED = ".unfinished-"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file of a folder: its path from there, size in bytes, and what changes whenever it is written anew."""

    name: str
    size: int
    version: int


def as_path(text: str) -> AnyPath:
    """Returns the path that a setting names: a local one, or gs://bucket/folder.

    Raises:
      DataError: for another protocol.
    """
    if "://" not in text:
        return Path(text)
    if not text.startswith("gs://"):
        raise DataError(f"{text}: only local paths and gs:// are known")
    if "STORAGE_EMULATOR_HOST" in os.environ:  # or every call to an emulator first probes gRPC for a minute and a half
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it logs, with tracebacks, what becomes one line here
    from upath import UPath  # noqa: PLC0415  local workers stay small without it

    return UPath(text, use_listings_cache=False)


def is_remote(path: AnyPath) -> bool:
    """Returns whether the path lies in a bucket."""
    return not isinstance(path, Path)


def is_file(path: AnyPath) -> bool:
    """Returns whether the file exists.

    Raises:
      DataError: if a bucket does not tell; its own `is_file` would take that for a no.
    """
    if (member := archives.as_file(path)) is not None:
        return archives.has_file(member)
    return _is_type(path, "file") if is_remote(path) else path.is_file()


def is_folder(path: AnyPath) -> bool:
    """Returns whether the folder exists, a zip file being one; in a bucket, whether there is anything in it.

    Raises:
      DataError: if a bucket does not tell.
    """
    if (member := archives.as_folder(path)) is not None:
        return archives.has_folder(member)
    return _is_type(path, "directory") if is_remote(path) else path.is_dir()


def is_in_archive(path: AnyPath) -> bool:
    """Returns whether a path lies in a zip file."""
    return archives.as_file(path) is not None


def list_folders(folder: AnyPath) -> list[str]:
    """Returns the names of the folders in a folder, and of its zip files, in order; none if there is no such folder."""
    if (member := archives.as_folder(folder)) is not None:
        return archives.folders_in(member)
    if not is_remote(folder):
        return sorted(path.name for path in folder.iterdir() if is_folder(path)) if folder.is_dir() else []
    with _one_line_errors(folder):
        try:
            found = folder.fs.ls(folder.path, detail=True)
        except FileNotFoundError:
            return []
    return sorted(PurePosixPath(entry["name"]).name for entry in found if entry["type"] == "directory")


def list_files(folder: AnyPath, *, recursive: bool = False) -> list[ListedFile]:
    """Returns the files of a folder in order of their names; none if there is no such folder.

    Zip files are files here, unless the folder is or lies in one.
    """
    if (member := archives.as_folder(folder)) is not None:
        found = (ListedFile(*file) for file in archives.files_in(member, recursive=recursive))
        return sorted(found, key=lambda file: file.name)
    with _one_line_errors(folder):
        files = _remote_files(folder, recursive) if is_remote(folder) else _local_files(folder, recursive)
        return sorted(files, key=lambda file: file.name)


def read_bytes(path: AnyPath) -> bytes:
    """Returns a file; one from a bucket is compared with its checksum there.

    Raises:
      MissingFileError: for a file that a bucket or a zip file does not have.
      DamagedFileError: for one that is damaged in a zip file.
      DataError: for one that arrives damaged.
      OSError: for a local file that cannot be read.
    """
    if (member := archives.as_file(path)) is not None:
        return archives.read(member)
    if not is_remote(path):
        return path.read_bytes()
    with _one_line_errors(path):
        for _ in range(_TRIES):
            data, expected = path.fs.cat_file(path.path), _listed_crc32c(path)
            if crc32c(data) == expected:
                return data
    raise DataError(
        f"{path}: arrived damaged {_TRIES} times (checksum {crc32c(data)}, in the bucket {expected}); "
        "check the network, then start the same command again"
    )


@contextlib.contextmanager
def open_bytes(path: AnyPath) -> Iterator[BinaryIO]:
    """Opens a file to read it piece by piece; what arrives from a bucket is not compared with its checksum."""
    if (member := archives.as_file(path)) is not None:
        with archives.open_member(member) as file:
            yield file
        return
    with _one_line_errors(path), path.open("rb") as file:
        yield file


def read_text(path: AnyPath) -> str:
    """Returns a UTF-8 file."""
    return read_bytes(path).decode("utf-8")


def write_atomically(path: AnyPath, content: str | bytes) -> None:
    """Writes a small file, text as UTF-8, so that a reader sees all of it or none."""
    data = content.encode() if isinstance(content, str) else content
    if is_remote(path):
        _upload(path, crc32c(data), lambda: _send(data, path))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as unfinished:
        unfinished.write_bytes(data)


def create(path: AnyPath, text: str) -> bool:
    """Writes a small file of a bucket unless there is one; returns whether it did. Of several at once one does."""
    with _one_line_errors(path):
        try:
            path.fs.pipe_file(path.path, text.encode(), mode="create")  # ifGenerationMatch=0
        except FileExistsError:
            return False
    return True


@contextlib.contextmanager
def written_whole(path: AnyPath) -> Iterator[Path]:
    """Gives a local path to write a file to, which has its own name and place once the body has ended."""
    with unfinished_file(path.parent, path.name) as unfinished:
        yield unfinished
        publish(unfinished, path)


@contextlib.contextmanager
def unfinished_file(folder: AnyPath, name: str) -> Iterator[Path]:
    """Gives a local path to write a file to, until `publish` moves it into the folder; removed if it is still there.

    Arguments:
      folder: where the file will lie; one for a bucket is written on this machine.
      name: what the path ends with, as some writers look at the ending of a file.
    """
    nearby = Path(tempfile.gettempdir()) if is_remote(folder) else folder
    unfinished = nearby / f"{_UNFINISHED}{secrets.token_hex(8)}-{name}"  # two machines may write the same file
    try:
        with naming_full_disk(nearby):
            yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def is_unfinished(name: str) -> bool:
    """Returns whether a file of this name, or path, was being written when its writer was killed."""
    return PurePosixPath(name).name.startswith(_UNFINISHED)


def publish(unfinished: Path, path: AnyPath) -> None:
    """Gives a finished local file its name and place; a reader sees all of it or none.

    Raises:
      DataError: if a bucket holds other bytes after the upload, or takes none.
    """
    if is_remote(path):
        upload(unfinished, path)
        unfinished.unlink()
        return
    with open(unfinished, "rb") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def upload(file: Path, path: AnyPath) -> None:
    """Copies a local file into a bucket; a reader sees all of it or the file before.

    Raises:
      DataError: if the bucket holds other bytes after the upload, or takes none.
    """
    if file.stat().st_size <= _SMALL_BYTES:
        data = file.read_bytes()
        _upload(path, crc32c(data), lambda: _send(data, path))
    else:
        _upload(path, file_crc32c(file), lambda: path.fs.put_file(str(file), path.path))


def download(path: AnyPath, cache_folder: Path, expected_crc32c: str) -> Path:
    """Returns a local copy of a bucket's file, from the cache if it is there and intact.

    Raises:
      DataError: if the file arrives with another checksum.
    """
    copy = cache_folder / str(path).removeprefix("gs://")
    if copy.is_file() and file_crc32c(copy) == expected_crc32c:
        return copy
    copy.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(copy.parent)
    with unfinished_file(copy.parent, copy.name) as unfinished, open(unfinished, "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # ends with this process, however that ends
        for _ in range(_TRIES):
            with _one_line_errors(path):
                path.fs.get_file(path.path, str(unfinished))
            if file_crc32c(unfinished) == expected_crc32c:
                publish(unfinished, copy)
                return copy
    raise DataError(f"{path}: arrived damaged {_TRIES} times; check the network, then start the same command again")


@contextlib.contextmanager
def local_copy(path: AnyPath) -> Iterator[Path]:
    """Gives a file of this machine: the file itself, or a copy of a bucket's, which goes with the context."""
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield download(path, Path(folder), file_crc32c(path))


def _remove_abandoned(folder: Path) -> None:
    """Removes unfinished downloads of processes that have ended; others may be at work in the same cache."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def remove(path: AnyPath) -> None:
    """Removes a file, if it is there."""
    with _one_line_errors(path):
        path.unlink(missing_ok=True)


def remove_folder(folder: AnyPath) -> None:
    """Removes a folder with all that it holds, if it is there."""
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for file in list_files(folder, recursive=True):
        remove(folder / file.name)


def file_crc32c(path: AnyPath) -> str:
    """Returns the CRC-32C of a file as 8 hexadecimal digits; a bucket knows the one of its files."""
    if is_remote(path):
        with _one_line_errors(path):
            return _listed_crc32c(path)
    checksum = google_crc32c.Checksum()
    for chunk in _chunks(path):
        checksum.update(chunk)
    return checksum.hexdigest().decode()


def file_sha256(path: AnyPath) -> str:
    """Returns the SHA-256 of a file as hexadecimal digits."""
    if is_remote(path):
        return hashlib.sha256(read_bytes(path)).hexdigest()
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def file_size(path: AnyPath) -> int:
    """Returns the size of a file in bytes."""
    if (member := archives.as_file(path)) is not None:
        return archives.size_of(member)
    with _one_line_errors(path):
        return path.stat().st_size


def leaves(root: AnyPath, name: str) -> bool:
    """Returns whether a path given from a folder leads out of it, by `..`, as an absolute path or by a link."""
    if is_remote(root):
        return PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts
    # Not Path.resolve, which raises where a link leads to itself.
    return not Path(os.path.realpath(root / name)).is_relative_to(os.path.realpath(root))


@contextlib.contextmanager
def naming_full_disk(folder: Path) -> Iterator[None]:
    """Says where the disk is full, which an operating system's error on writing does not.

    Raises:
      DataError: if no more can be written below the folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise DataError(f"{folder}: {error.strerror}; make room, then start the same command again") from error


def crc32c(data: bytes) -> str:
    """Returns the CRC-32C of bytes as 8 hexadecimal digits."""
    return f"{google_crc32c.value(data):08x}"


def _upload(path: AnyPath, expected_crc32c: str, send: Callable[[], None]) -> None:
    """Sends a file to a bucket until the bucket holds the same bytes."""
    with _one_line_errors(path):
        for _ in range(_TRIES):
            send()
            if _listed_crc32c(path) == expected_crc32c:
                return
            path.fs.rm_file(path.path)
    raise DataError(f"{path}: damaged on the way up {_TRIES} times; check the network, then start the command again")


def _send(data: bytes, path: AnyPath) -> None:
    """Sends a small file.

    What is smaller than a chunk shares a request with its name, in parts that gcsfs ends by a line feed alone. After a
    carriage return that reads as the end of a line, and servers that go by RFC 2046 drop both. As one whole chunk, a
    file has a request of its own.
    """
    path.fs.pipe_file(path.path, data, **({"chunksize": len(data)} if data.endswith(b"\r") else {}))


def _chunks(path: Path) -> Iterator[bytes]:
    with open_bytes(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _local_files(folder: Path, recursive: bool) -> Iterator[ListedFile]:
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        if not (folder / inner).is_dir():
            continue
        with os.scandir(folder / inner) as entries:
            for entry in entries:
                name = f"{inner}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if recursive:
                        waiting.append(f"{name}/")
                elif entry.is_file():
                    status = entry.stat()
                    yield ListedFile(name, status.st_size, status.st_mtime_ns)


def _remote_files(folder: AnyPath, recursive: bool) -> Iterator[ListedFile]:
    start = len(folder.path.rstrip("/")) + 1
    found = folder.fs.find(folder.path, maxdepth=None if recursive else 1, detail=True)
    for path, details in found.items():
        if details["type"] == "file" and len(path) > start:
            yield ListedFile(path[start:], int(details["size"]), int(details["generation"]))


def _is_type(path: AnyPath, kind: str) -> bool:
    with _one_line_errors(path):
        try:
            return path.fs.info(path.path)["type"] == kind
        except FileNotFoundError:
            return False


def _listed_crc32c(path: AnyPath) -> str:
    return base64.b64decode(path.fs.info(path.path)["crc32c"]).hex()


def _one_line_errors(path: AnyPath) -> contextlib.AbstractContextManager:
    """Turns errors of a bucket into one line; those of local files stay as they are."""
    return one_line_errors(str(path)) if is_remote(path) else contextlib.nullcontext()
