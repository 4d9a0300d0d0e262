"""Looks into image files before the folds are made: checksums, and hashes that find the same image again.

A scan is a job for an engine. What it found lies in `parts/<name>.json`, so that a run that was stopped resumes; a
file that changed in between is named.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import (
    AnyPath,
    ListedFile,
    as_path,
    crc32c,
    is_file,
    read_text,
    write_atomically,
)
from tfrecords_tools.hashing import perceptual_hash
from tfrecords_tools.images import RefusedImage
from tfrecords_tools.source_files import read_source_file

FILES_PER_SCAN = 1000


@dataclass(frozen=True, kw_only=True)
class ScanJob:
    """Files of one source to look into; `folder` takes what was found, `look_alikes` asks for perceptual hashes."""

    name: str
    folder: str
    root: str
    files: tuple[ListedFile, ...]
    look_alikes: bool


@dataclass(frozen=True)
class ScannedFile:
    """A file, its checksum, and the hexadecimal hash of its picture; None for what could not be read."""

    file: ListedFile
    crc32c: str | None
    picture: str | None


@dataclass(frozen=True)
class ScanResult:
    """The files of a job, in its order."""

    name: str
    scanned: tuple[ScannedFile, ...]


def scan_files(job: ScanJob) -> ScanResult:
    """Looks into the files of a job, but for those that an earlier run has seen.

    Raises:
      DataError: if a file has changed since then, or cannot be read now.
    """
    path = as_path(job.folder) / f"{job.name}.json"
    seen = {scanned.file.name: scanned for scanned in _read_scan(path)}
    result = ScanResult(job.name, tuple(_scan(job, file, seen.get(file.name)) for file in job.files))
    write_atomically(path, json.dumps([asdict(scanned) for scanned in result.scanned]))
    return result


def _scan(job: ScanJob, file: ListedFile, earlier: ScannedFile | None) -> ScannedFile:
    if earlier is not None and earlier.file == file:
        return earlier
    root = as_path(job.root)
    try:
        data = read_source_file(root, file.name, file.size)
    except RefusedImage:
        return ScannedFile(file, None, None)  # refused, with its reason, when its shard is written
    checksum = crc32c(data)
    if earlier is not None and earlier.crc32c not in (None, checksum):
        raise DataError(
            f"{root / file.name}: changed since this run began (checksum {earlier.crc32c}, now {checksum}); "
            "put the old file back, or start in another folder"
        )
    picture = perceptual_hash(data) if job.look_alikes else None
    return ScannedFile(file, checksum, None if picture is None else picture.hex())


def _read_scan(path: AnyPath) -> Iterator[ScannedFile]:
    if is_file(path):
        for values in json.loads(read_text(path)):
            yield ScannedFile(**{**values, "file": ListedFile(**values["file"])})
