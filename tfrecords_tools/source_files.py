"""Reads images of a source, files or records: only their content refuses them; what cannot be read now stops the run.

A disk that fails, a mount that is away, or a process without memory or file handles says nothing about an image. Were
it refused for that, it would be missing from the shards for ever, and nobody would notice.
"""

import errno
import time
from pathlib import PurePosixPath

from tfrecords_tools.example import parse
from tfrecords_tools.foundation.errors import DamagedFileError, DataError, MissingFileError
from tfrecords_tools.foundation.files import MISSING_SIZE, AnyPath, leaves, read_bytes
from tfrecords_tools.images import RefusedImage
from tfrecords_tools.record_images import find_image_feature
from tfrecords_tools.records import read_record

RECORD_ENDINGS = (".tfrec", ".tfrecord", ".tfrecords")
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
_WAITS = (0.2, 1.0)  # seconds before the second and the third try


def record_name(file: str, offset: int) -> str:
    """Returns the path by which the image of a record is read, whose header stands at a place of a TFRecord file."""
    return f"{file}/{offset}"


def in_record(file: str | PurePosixPath) -> bool:
    """Returns whether a path is one that `record_name` gave."""
    path = PurePosixPath(file)
    return path.parent.suffix.lower() in RECORD_ENDINGS and path.name.isdecimal()


def read_source_file(root: AnyPath, file: str | PurePosixPath, size: int) -> bytes:
    """Returns a file of a source, or the image of a record.

    Arguments:
      root: folder of the source.
      file: path from there, or what `record_name` gave.
      size: bytes that the listing told, `MISSING_SIZE` if there was no such file.

    Raises:
      RefusedImage: if the path leaves the folder, or there was no such file and is none.
      DataError: if a file that was listed is gone, or the system cannot read it in three tries.
    """
    if leaves(root, file):
        raise RefusedImage(f"the path leaves the input folder {root}")
    path, inner = root / file, PurePosixPath(file)
    for wait in (*_WAITS, None):
        try:
            return _image_of_record(root / inner.parent, int(inner.name)) if in_record(file) else read_bytes(path)
        except MissingFileError as error:
            raise _not_there(path, "no such file in the bucket or zip file", size) from error
        except DamagedFileError as error:
            raise RefusedImage(f"{error}") from error
        except OSError as error:
            if error.errno in _NO_FILE:
                raise _not_there(path, error.strerror, size) from error
            if wait is None:
                raise DataError(
                    f"{path}: cannot be read now ({error.strerror or error}), three times; see to the disk, the "
                    "network or the limits of this machine, then start the same command again"
                ) from error
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _image_of_record(path: AnyPath, offset: int) -> bytes:
    features = parse(read_record(path, offset))
    name = find_image_feature([features])
    if name is None:
        raise DataError(f"{path}: the record at byte {offset} has no image now; put the old file back")
    return features[name][0]


def _not_there(path: AnyPath, reason: str, size: int) -> DataError:
    if size == MISSING_SIZE:
        return RefusedImage(f"cannot be read: {reason}")
    return DataError(
        f"{path}: was there when this run began, and is gone ({reason}); put it back and start the same command again, "
        "or start in another folder"
    )
