"""Temporary files of a command in a folder of its own, so that the next one can remove what a killed one left.

A lock of the operating system, which ends with the process however that ends, tells whether a folder is in use.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from multiprocessing.util import Finalize
from pathlib import Path

_PREFIX = "melgan-"
_LONGEST_PLACE = 60  # of the 107 characters that the path of a socket may have, those below here need 47
_AFTER_MULTIPROCESSING = -200  # it removes its own folder with -100


@contextlib.contextmanager
def own_temporary_folder() -> Iterator[Path]:
    """Lets all temporary files of this process, and of those that it starts, lie in one folder, which goes with it.

    It lies in the usual place, see TMPDIR, which is used itself where its path is too long for another folder in it.
    Folders of processes that have ended are removed from there.
    """
    before = tempfile.gettempdir()
    place = Path(before)
    while place.name.startswith(_PREFIX):  # of the process that started this one, and may end before it
        place = place.parent
    if len(os.fsencode(place)) > _LONGEST_PLACE:
        yield place
        return
    _remove_abandoned(place)
    folder, descriptor = _make(place)
    try:
        _direct_to(str(folder))
        yield folder
    finally:
        _direct_to(before)
        remove = Finalize(None, _remove, args=(folder, descriptor), exitpriority=_AFTER_MULTIPROCESSING)
        if not any(folder.glob("pymp-*")):  # which multiprocessing removes at the end of the process, and must find
            remove()


def _make(place: Path) -> tuple[Path, int]:
    """Returns a new folder and the descriptor that locks it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        with contextlib.suppress(FileNotFoundError):  # somebody took it for abandoned before it was locked
            descriptor = os.open(folder, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.is_dir():
                return folder, descriptor
            os.close(descriptor)


def _remove(folder: Path, descriptor: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(descriptor)


def _remove_abandoned(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # of another user, in use, or removed by another run at this moment
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid == os.getuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder)
            finally:
                os.close(descriptor)


def _direct_to(folder: str) -> None:
    tempfile.tempdir = os.environ["TMPDIR"] = folder
