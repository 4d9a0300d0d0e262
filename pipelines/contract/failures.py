"""Failures as one line for a user: our own, the system's, and a library's where memory, a disk or a network fails."""

import errno
import os
from pathlib import Path

from tfrecords_tools.foundation.errors import UserError
from tfrecords_tools.foundation.files import is_unfinished

_AGAIN = "then start the same command again"
_REMEDIES = {
    errno.EMFILE: "raise the limit by `ulimit -n`, or give fewer --workers",
    errno.ENFILE: "close other programs, or give fewer --workers",
    errno.ENOMEM: "give smaller batches, fewer --workers or fewer pixels",
    errno.EAGAIN: "close other programs, raise the limit by `ulimit -u`, or give fewer --workers",
    errno.EACCES: "see to its permissions, or choose another folder",
    errno.EPERM: "see to its permissions, or choose another folder",
    errno.EROFS: "choose another folder, or have it mounted for writing",
    errno.ENOSPC: f"make room, {_AGAIN}",
    errno.EDQUOT: f"make room, {_AGAIN}",
    errno.ENOENT: "check the path, and put back what is gone",
    errno.ENOTDIR: "choose another path",
    errno.EISDIR: "choose another path",
    errno.EEXIST: "choose another path",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: "see to the links in this path",
    errno.EADDRINUSE: "choose another address, or end the program that has it",
}
_OTHERWISE = f"see to the disk, the network or the limits of this machine, {_AGAIN}"

# TensorFlow's errors by name, because not every command imports it: what happened, and what to do.
_OF_TENSORFLOW = {
    "ResourceExhaustedError": ("the memory of a device is used up", "give a smaller batch or fewer pixels"),
    "DataLossError": ("a shard was damaged while it was read", "`make inspect PATHS=FOLDER VERIFY=true` names it"),
    "NotFoundError": ("a file is gone", "put it back, then start the same command again"),
    "PermissionDeniedError": ("a file may not be read or written", "see to its permissions"),
    "UnavailableError": ("a service does not answer", "see to the network, then start the same command again"),
    "DeadlineExceededError": ("a service does not answer", "see to the network, then start the same command again"),
    "AbortedError": ("a worker or service ended", "start the same command again"),
}
_MODULE = "tensorflow.python.framework.errors_impl"


def as_one_line(error: BaseException) -> str:
    """Returns what happened, where, and what to do, of a failure that a user can do something about; else ""."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, MemoryError):
        reason = f" ({error})" if str(error) else ""
        return f"the memory of this machine is used up{reason}; give smaller batches, fewer --workers or fewer pixels"
    if type(error).__module__ == _MODULE and type(error).__name__ in _OF_TENSORFLOW:
        line = _first_line(error)
        of_system = [remedy for number, remedy in _REMEDIES.items() if os.strerror(number) in line]
        if of_system:  # TensorFlow calls a full disk and too few file handles what it calls a lack of memory
            return f"{line}; {of_system[0]}"
        happened, remedy = _OF_TENSORFLOW[type(error).__name__]
        return f"{happened} ({line}); {remedy}"
    return ""


def _of_system(error: OSError) -> str:
    """Returns the file of an operating system's error, if it tells one, and what to do; a library's as it is."""
    if error.errno is None or error.strerror is None:
        return str(error)
    place = "" if error.filename is None else str(error.filename)
    if is_unfinished(place):
        place = str(Path(place).parent)  # the name of what would have been written says nothing to a user
    return f"{place}{': ' if place else ''}{error.strerror}; {_REMEDIES.get(error.errno, _OTHERWISE)}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines() if line.strip()]
    # The first lines tell where in the graph; of several root errors, the first.
    telling = [line.removeprefix("(0)").strip() for line in lines if "Graph execution error" not in line]
    telling = [line for line in telling if not line.startswith(("Detected at node", "2 root error", "File "))]
    return telling[0] if telling else type(error).__name__
