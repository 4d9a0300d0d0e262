"""The workers of a run meet before TensorFlow starts, and keep the connections for `melgan/peers.py`.

They meet at the leader's port of TF_CONFIG, which TensorFlow uses afterwards: no other port need be open. Left
to itself TensorFlow waits for absent workers for ever, deaf to signals and without a word.
"""

import contextlib
import json
import socket
import time

from absl import logging

from melgan.training.cluster import Cluster
from tfrecords_tools.foundation.errors import ConfigError

_MEETING_SECONDS = 600.0
_TURN_SECONDS = 0.5
_GREETING_SECONDS = 5.0
_WELCOME = "welcome"


def meet(cluster: Cluster, *, seconds: float = _MEETING_SECONDS) -> dict[int, socket.socket]:
    """Waits until all workers are there; returns the leader's connections to the others, or a worker's to the leader.

    Arguments:
      cluster: all workers, and which one this is.
      seconds: how long to wait.

    Returns:
      Connections by the place of the other task in `cluster.tasks`.

    Raises:
      ConfigError: if the own port is in use, a worker does not come in time, or two have different TF_CONFIGs.
    """
    with _listener(cluster) as listener:
        if cluster.place == 0:
            connections = _wait_for_others(cluster, listener, time.monotonic() + seconds, seconds)
    if cluster.place != 0:
        return {0: _join(cluster, time.monotonic() + seconds, seconds)}
    for connection in connections.values():
        _say(connection, _WELCOME)
    return connections


def _listener(cluster: Cluster) -> socket.socket:
    try:
        return socket.create_server(("", cluster.own.port), backlog=len(cluster.tasks))
    except OSError as error:
        raise ConfigError(
            f"TF_CONFIG: {cluster.own}, this worker, cannot have its port ({error.strerror}); "
            "end the process that uses it, or choose another port on every worker"
        ) from error


def _wait_for_others(
    cluster: Cluster, listener: socket.socket, deadline: float, seconds: float
) -> dict[int, socket.socket]:
    listener.settimeout(_TURN_SECONDS)
    connections: dict[int, socket.socket] = {}
    told = None
    while missing := [place for place in range(1, len(cluster.tasks)) if not _is_there(place, connections)]:
        names = ", ".join(str(cluster.tasks[place]) for place in missing)
        if told != names:
            logging.info("waiting for %s", names)
            told = names
        if time.monotonic() > deadline:
            raise ConfigError(
                f"TF_CONFIG: {names} did not come within {seconds:.0f} s; start the same command on every worker"
            )
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        _greet(cluster, connection, connections)
    return connections


def _greet(cluster: Cluster, connection: socket.socket, connections: dict[int, socket.socket]) -> None:
    """Adds the connection of a worker whose place is free; for any other, says what is wrong with it."""
    greeting = _read_line(connection, _GREETING_SECONDS)
    try:
        place, addresses = json.loads(greeting or "")
    except (ValueError, TypeError):  # no worker
        connection.close()
        return
    if addresses != _addresses(cluster):
        refusal = f"its TF_CONFIG lists {', '.join(_addresses(cluster))}"
    elif _is_there(place, connections):
        refusal = f"another worker has come as {cluster.tasks[place]}"
    else:
        connections[place] = connection
        return
    _say(connection, refusal)
    connection.close()


def _join(cluster: Cluster, deadline: float, seconds: float) -> socket.socket:
    """Greets the leader, as often as it takes."""
    logging.info("waiting for %s", cluster.leader)
    greeting = json.dumps([cluster.place, _addresses(cluster)]) + "\n"
    while True:
        reason = "it does not answer as a worker of this run"
        try:
            connection = socket.create_connection((cluster.leader.host, cluster.leader.port), _GREETING_SECONDS)
            connection.sendall(greeting.encode())
            answer = _read_line(connection, max(0.0, deadline - time.monotonic()))
            if answer == _WELCOME:
                return connection
            connection.close()
            if answer.isascii() and answer.isprintable() and answer:
                raise ConfigError(f"TF_CONFIG: {cluster.leader} refuses {cluster.own}, this worker: {answer}")
        except OSError as error:
            reason = error.strerror or str(error)
        if time.monotonic() > deadline:
            raise ConfigError(
                f"TF_CONFIG: {cluster.leader} was not reached within {seconds:.0f} s ({reason}); "
                "start the same command there, or correct its address"
            )
        time.sleep(_TURN_SECONDS)


def _addresses(cluster: Cluster) -> list[str]:
    return [task.address for task in cluster.tasks]


def _say(connection: socket.socket, line: str) -> None:
    with contextlib.suppress(OSError):  # who has gone is missed by `Peers`, or was no worker
        connection.sendall(f"{line}\n".encode())


def _read_line(connection: socket.socket, seconds: float) -> str:
    """Returns what comes up to the end of a line, of the connection, or of the time; the connection blocks again."""
    deadline, received = time.monotonic() + seconds, b""
    while not received.endswith(b"\n") and len(received) < 65536:
        connection.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            byte = connection.recv(1)
        except OSError:
            byte = b""
        if not byte:
            break
        received += byte
    connection.settimeout(None)
    return received.decode(errors="replace").strip()


def _is_there(place: int, connections: dict[int, socket.socket]) -> bool:
    """Returns whether a worker has come and has not ended since."""
    if place not in connections:
        return False
    connection = connections[place]
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        connection.setblocking(True)
