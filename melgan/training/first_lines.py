"""The first lines of all who connect to a port, read side by side: one who says nothing keeps nobody waiting."""

import selectors
import socket
import time
from dataclasses import dataclass, field

_SECONDS = 5.0  # for a whole line
_LONGEST = 1024  # bytes of a line
_MOST = 64  # who are listened to at a time


@dataclass
class _Caller:
    """One who has connected, and what has come so far."""

    connection: socket.socket
    since: float = field(default_factory=time.monotonic)
    received: bytes = b""


class FirstLines:
    """Takes the connections of a listening socket; ends with its context, which hangs up on all that said no line.

    Whoever sends more than a line, a line too long, or none in time is hung up on; when there are too many, the one
    who has been silent for longest.
    """

    def __init__(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._callers: list[_Caller] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)

    def __enter__(self) -> "FirstLines":
        return self

    def __exit__(self, *_: object) -> None:
        for caller in list(self._callers):
            self._hang_up(caller)
        self._selector.close()

    def wait(self, seconds: float) -> list[tuple[socket.socket, str]]:
        """Returns who has said a line within a time, with the line; it may be that nobody has."""
        ready = [key.data for key, _ in self._selector.select(seconds)]
        lines = [(caller.connection, self._listen(caller)) for caller in ready if caller]
        if None in ready:  # new ones; after the others, whom they may push out
            self._take_calls()
        for caller in [each for each in self._callers if time.monotonic() - each.since > _SECONDS]:
            self._hang_up(caller)
        return [(connection, line) for connection, line in lines if line is not None]

    def _take_calls(self) -> None:
        for _ in range(_MOST):
            try:
                connection, _ = self._listener.accept()
            except OSError:  # nobody any more, or one that has gone already
                return
            connection.setblocking(False)
            self._callers.append(_Caller(connection))
            self._selector.register(connection, selectors.EVENT_READ, self._callers[-1])
            if len(self._callers) > _MOST:
                self._hang_up(self._callers[0])

    def _listen(self, caller: _Caller) -> str | None:
        """Reads what has come; returns the line once it is whole, and leaves its connection to the one who asked."""
        try:
            received = caller.connection.recv(_LONGEST)
        except OSError:
            received = b""
        caller.received += received
        line, end, more = caller.received.partition(b"\n")
        if end and not more and len(line) < _LONGEST:
            self._forget(caller)
            caller.connection.setblocking(True)
            return line.decode(errors="replace")
        if not received or end or len(line) >= _LONGEST:
            self._hang_up(caller)
        return None

    def _hang_up(self, caller: _Caller) -> None:
        self._forget(caller)
        caller.connection.close()

    def _forget(self, caller: _Caller) -> None:
        self._callers.remove(caller)
        self._selector.unregister(caller.connection)
