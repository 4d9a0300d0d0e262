"""A file of a run, as the report of the run tells of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, file_sha256, local_copy


@contextmanager
def file_of_report(file: AnyPath, sha256: str) -> Iterator[Path]:
    """Gives a file of a run on this machine, local or a copy of one in a bucket.

    Arguments:
      file: its path.
      sha256: of the file, as the report of the run has it.

    Raises:
      CommandError: if it is another file.
    """
    with local_copy(file) as copy:
        if file_sha256(copy) != sha256:
            raise CommandError(f"{file}: not the file of the report (SHA-256 differs); train again")
        yield copy
