"""Zip files of this machine as folders: what lies in `images.zip` is `images.zip/...`, and nothing is unpacked."""

import contextlib
import functools
import os
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from tfrecords_tools.foundation.errors import DamagedFileError, DataError, MissingFileError

if TYPE_CHECKING:
    from upath import UPath

ENDING = ".zip"
_MOST_BYTES = 1 << 30  # of a file in an archive: more is no image and no table, but a bomb


@dataclass(frozen=True)
class Member:
    """A path in a zip file: the file, and the path from its root, "" for the root itself."""

    archive: Path
    name: str


@dataclass(frozen=True)
class _Archive:
    """An open zip file: its files by their paths, and the names of files and folders in each folder."""

    file: zipfile.ZipFile
    members: dict[str, zipfile.ZipInfo]
    files_in: dict[str, list[str]]
    folders_in: dict[str, list[str]]


def is_named_zip(name: str) -> bool:
    """Returns whether a name is that of a zip file, in any case."""
    return name.lower().endswith(ENDING)


def without_ending(name: str) -> str:
    """Returns a name without the ending of a zip file, if it has it."""
    return name[: -len(ENDING)] if is_named_zip(name) else name


def as_file(path: "Path | UPath") -> Member | None:
    """Returns where a path lies in a zip file of this machine; None if it lies in none, or is one."""
    member = as_folder(path)
    return member if member is not None and member.name else None


def as_folder(path: "Path | UPath") -> Member | None:
    """Returns where a path lies in a zip file of this machine, which is a folder itself; None if it lies in none."""
    if not isinstance(path, Path) or not any(map(is_named_zip, path.parts)):
        return None
    for place in (path, *path.parents):
        if is_named_zip(place.name) and place.is_file():
            name = path.relative_to(place).as_posix()
            return Member(place, "" if name == "." else name)
    return None


def has_file(member: Member) -> bool:
    """Returns whether a file lies there."""
    return member.name in _open(member.archive).members


def has_folder(member: Member) -> bool:
    """Returns whether a folder lies there; the root of a zip file is one, which is not opened for that."""
    return not member.name or member.name in _open(member.archive).folders_in


def folders_in(member: Member) -> list[str]:
    """Returns the names of the folders in a folder, in order."""
    return sorted(_open(member.archive).folders_in.get(member.name, []))


def files_in(member: Member, *, recursive: bool) -> Iterator[tuple[str, int, int]]:
    """Yields the path of every file of a folder from there, its size in bytes and its CRC-32."""
    archive = _open(member.archive)
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        place = "/".join(filter(None, (member.name, inner)))
        for name in archive.files_in.get(place, []):
            info = archive.members[f"{place}/{name}" if place else name]
            yield (f"{inner}/{name}" if inner else name), info.file_size, info.CRC
        if recursive:
            waiting += [f"{inner}/{name}" if inner else name for name in archive.folders_in.get(place, [])]


def size_of(member: Member) -> int:
    """Returns the size of a file in bytes."""
    return _info(member).file_size


def read(member: Member) -> bytes:
    """Returns a file.

    Raises:
      MissingFileError: if there is none.
      DamagedFileError: if it is damaged, encrypted, or compressed in a way that Python does not know.
    """
    with open_member(member) as file:
        return file.read()


@contextlib.contextmanager
def open_member(member: Member) -> Iterator[BinaryIO]:
    """Opens a file to read it piece by piece. For what it raises see `read`."""
    info, place = _info(member), f"{member.archive}/{member.name}"
    if info.file_size > _MOST_BYTES:
        raise DamagedFileError(f"{place}: has {info.file_size} bytes unpacked, of at most {_MOST_BYTES}")
    try:
        with _open(member.archive).file.open(info) as file:
            yield file
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DamagedFileError(f"{place}: damaged in the zip file ({error})") from error
    except NotImplementedError as error:
        raise DamagedFileError(f"{place}: cannot be unpacked ({error})") from error
    except RuntimeError as error:  # what zipfile raises for a missing password
        raise DamagedFileError(f"{place}: encrypted; unpack the zip file with its password") from error


def _info(member: Member) -> zipfile.ZipInfo:
    info = _open(member.archive).members.get(member.name)
    if info is None:
        raise MissingFileError(f"{member.archive}: holds no {member.name}")
    return info


def _open(path: Path) -> _Archive:
    """Returns a zip file; each process opens its own, as a place to read from is shared by those that fork."""
    status = path.stat()
    return _opened(path, os.getpid(), status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=16)
def _opened(path: Path, process: int, version: int, size: int) -> _Archive:
    del process, version, size
    try:
        file = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: no zip file, or cut short ({error}); fetch it again") from error
    members: dict[str, zipfile.ZipInfo] = {}
    files, folders = defaultdict(dict), defaultdict(dict)
    for info in file.infolist():
        place = PurePosixPath(info.filename)
        if place.is_absolute() or ".." in place.parts or not place.parts:
            continue  # out of the folder, where nobody asks for it
        above = place.parts if info.is_dir() else place.parts[:-1]
        for depth, name in enumerate(above):
            folders["/".join(above[:depth])][name] = None
        folders["/".join(above)]  # there, even if it is empty
        if not info.is_dir():
            members[str(place)] = info
            files["/".join(above)][place.name] = None
    return _Archive(file, members, *({place: list(names) for place, names in of.items()} for of in (files, folders)))
