"""Failures as one line for a user: our own, the system's, and a library's where memory, a disk or a network fails."""

from tfrecords_tools.foundation.errors import UserError

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
    if isinstance(error, (UserError, OSError)):
        return str(error)
    if isinstance(error, MemoryError):
        reason = f" ({error})" if str(error) else ""
        return f"the memory of this machine is used up{reason}; give smaller batches, fewer --workers or fewer pixels"
    if type(error).__module__ == _MODULE and type(error).__name__ in _OF_TENSORFLOW:
        happened, remedy = _OF_TENSORFLOW[type(error).__name__]
        return f"{happened} ({_first_line(error)}); {remedy}"
    return ""


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines() if line.strip()]
    # The first lines tell where in the graph; of several root errors, the first.
    telling = [line.removeprefix("(0)").strip() for line in lines if "Graph execution error" not in line]
    telling = [line for line in telling if not line.startswith(("Detected at node", "2 root error", "File "))]
    return telling[0] if telling else type(error).__name__
