"""The door of a worker: it listens on its address of TF_CONFIG, and on no other."""

import errno
import ipaddress
import socket

from melgan.training.cluster import Cluster, Task
from tfrecords_tools.foundation.errors import ConfigError

_BACKLOG = 128


def listen(cluster: Cluster) -> socket.socket:
    """Returns a socket that listens on the own address and port: on loopback where all workers are on this machine.

    Raises:
      ConfigError: if the port is in use, or this machine does not have the address.
    """
    try:
        _require_free(cluster.own.port)
        return _listen_on_any(_own_addresses(cluster), cluster.own.port)
    except OSError as error:
        remedy = "end the process that uses it, or choose another port on every worker"
        if error.errno in (errno.EADDRNOTAVAIL, errno.ENETUNREACH):
            remedy = "this machine has no such address; name one that it has, on every worker"
        raise ConfigError(
            f"TF_CONFIG: {cluster.own}, this worker, cannot have its port ({error.strerror}); {remedy}"
        ) from error


def _listen_on_any(addresses: list[str], port: int) -> socket.socket:
    """Returns a socket on the first address that this machine has."""
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            return socket.create_server((address, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL or address == addresses[-1]:
                raise
    raise AssertionError("a name stands for at least one address")


def _require_free(port: int) -> None:
    """Raises OSError if anybody listens on the port: TensorFlow will, and on all addresses. Nothing is opened here."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("", port))


def _own_addresses(cluster: Cluster) -> list[str]:
    """Returns the addresses that the name of this worker stands for.

    Where these are loopback although others come from elsewhere, as on machines that know themselves as 127.0.1.1, it
    is the one by which this machine reaches another worker.
    """
    own = _addresses(cluster.own)
    if not _is_loopback(own[0]):
        return own
    remote = [address for task in cluster.tasks if not _is_loopback(address := _addresses(task)[0])]
    return [_source_of(remote[0], cluster.own.port)] if remote else own


def _addresses(task: Task) -> list[str]:
    try:
        found = socket.getaddrinfo(task.host, task.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            f"TF_CONFIG: {task}: {task.host} is not known here ({error.strerror}); correct it, or give its IP address"
        ) from error
    return [address for *_, (address, *_) in found]


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _source_of(address: str, port: int) -> str:
    """Returns the address of this machine by which it reaches another one."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, port))  # nothing is sent
        return probe.getsockname()[0]
