"""The workers of a run meet before TensorFlow starts, and keep the connections for `melgan/training/peers.py`.

They meet at the leader's port of TF_CONFIG, which TensorFlow uses afterwards: no other port need be open. Left
to itself TensorFlow waits for absent workers for ever, deaf to signals and without a word. Others may find the port
too: whoever does not say the token of the run is hung up on, and keeps nobody waiting.
"""

import contextlib
import hmac
import re
import socket
import time

from absl import logging

from melgan.training.cluster import Cluster
from melgan.training.first_lines import FirstLines
from melgan.training.listening import listen
from tfrecords_tools.foundation.errors import ConfigError

_MEETING_SECONDS = 600.0
_NOTICE_SECONDS = 60.0
_TURN_SECONDS = 0.5
_CONNECT_SECONDS = 5.0
_WELCOME, _REFUSED = "welcome", "refused: "
_LONGEST_ANSWER = 1024
_OTHER_CLUSTER = "its TF_CONFIG has other workers or another secret than this one"


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
    with listen(cluster) as listener:
        if cluster.place == 0:
            with FirstLines(listener) as first_lines:
                connections = _wait_for_others(cluster, first_lines, seconds)
    if cluster.place != 0:
        return {0: _join(cluster, time.monotonic() + seconds, seconds)}
    for connection in connections.values():
        _say(connection, _WELCOME)
    return connections


def _wait_for_others(cluster: Cluster, first_lines: FirstLines, seconds: float) -> dict[int, socket.socket]:
    deadline = time.monotonic() + seconds
    connections: dict[int, socket.socket] = {}
    refused: set[str] = set()
    told, next_notice = None, 0.0
    while missing := [place for place in range(1, len(cluster.tasks)) if not _is_there(place, connections)]:
        names, now = ", ".join(str(cluster.tasks[place]) for place in missing), time.monotonic()
        if told != names or now > next_notice:
            logging.info("waiting for %s", names)
            told, next_notice = names, now + _NOTICE_SECONDS
        if now > deadline:
            raise ConfigError(
                f"TF_CONFIG: {names} did not come within {seconds:.0f} s; start the same command on every worker"
            )
        for connection, line in first_lines.wait(_TURN_SECONDS):
            _greet(cluster, connection, line, connections, refused)
    return connections


def _greet(
    cluster: Cluster, connection: socket.socket, line: str, connections: dict[int, socket.socket], refused: set[str]
) -> None:
    """Adds the connection of a worker whose place is free; tells another worker what is wrong; no others are heard."""
    greeting = re.fullmatch(r"([0-9]{1,6}) ([0-9a-f]{64})", line)
    place = int(greeting[1]) if greeting else 0
    if greeting and not hmac.compare_digest(greeting[2], cluster.token):
        _refuse(connection, _OTHER_CLUSTER, refused)
    elif not 0 < place < len(cluster.tasks):
        connection.close()
    elif _is_there(place, connections):
        _refuse(connection, f"another worker has come as {cluster.tasks[place]}", refused)
    else:
        connections[place] = connection


def _refuse(connection: socket.socket, reason: str, refused: set[str]) -> None:
    """Says so to the other side and, once for each host, here."""
    with contextlib.suppress(OSError):  # gone
        host = connection.getpeername()[0]
        if host not in refused:
            logging.warning("a worker on %s was refused: %s", host, reason)
        refused.add(host)
    _say(connection, f"{_REFUSED}{reason}")
    connection.close()


def _join(cluster: Cluster, deadline: float, seconds: float) -> socket.socket:
    """Greets the leader, as often as it takes."""
    logging.info("waiting for %s", cluster.leader)
    greeting = f"{cluster.place} {cluster.token}"
    while True:
        reason = "it does not answer as a worker of this run"
        try:
            connection = socket.create_connection((cluster.leader.host, cluster.leader.port), _CONNECT_SECONDS)
            _say(connection, greeting)
            answer = _read_answer(connection, deadline)
            if answer == _WELCOME:
                return connection
            connection.close()
            if answer.startswith(_REFUSED):
                raise ConfigError(_refusal(cluster, answer.removeprefix(_REFUSED)))
        except OSError as error:
            reason = error.strerror or str(error)
        if time.monotonic() > deadline:
            raise ConfigError(
                f"TF_CONFIG: {cluster.leader} was not reached within {seconds:.0f} s ({reason}); "
                "start the same command there, or correct its address"
            )
        time.sleep(_TURN_SECONDS)


def _refusal(cluster: Cluster, reason: str) -> str:
    addresses = ", ".join(task.address for task in cluster.tasks)
    return f"TF_CONFIG: {cluster.leader} refuses {cluster.own}, this worker, of {addresses}: {reason}"


def _say(connection: socket.socket, line: str) -> None:
    with contextlib.suppress(OSError):  # who has gone is missed by `Peers`, or was no worker
        connection.sendall(f"{line}\n".encode())


def _read_answer(connection: socket.socket, deadline: float) -> str:
    """Returns a line, or what came of it until the end of the connection or of the time."""
    received = b""
    with contextlib.suppress(OSError):  # the time is over, or the leader has gone
        while not received.endswith(b"\n") and len(received) < _LONGEST_ANSWER:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            byte = connection.recv(1)  # no more: what follows is for `Peers`
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
