"""The workers of a run watch each other, and all end with one line that names it when one of them is lost.

TensorFlow notices a lost worker too, but its errors name any worker or none ("Deadline Exceeded"), and its
coordination service, asked who is lost, blocks or crashes (TensorFlow 2.21). Hence this watch on plain sockets, those
with which the workers met. Everyone is connected with the leader, and each says twice a second how it is. Who ends
the connection, or is silent for too long, is lost; the leader tells the others, so that all name the same worker.
"""

import contextlib
import os
import selectors
import socket
import sys
import threading
import time
from dataclasses import dataclass, field

from absl import logging

from melgan.training.cluster import Cluster, Task

_BEAT_SECONDS = 0.5
_GRACE_SECONDS = 5.0  # for the others to meet the same error by themselves, and tell it better
_FAREWELL_SECONDS = 2.0
_NOTICE_SECONDS = 60.0
_ALIVE, _DONE, _FAILED, _ALL_DONE, _LOST = "alive", "done", "failed", "all done", "lost: "
_STATES = (_ALIVE, _DONE, _FAILED, _ALL_DONE)
_LONGEST_WORD = 65536
_REMEDY = "start the same command on every worker to resume from the last checkpoint"


@dataclass
class _Peer:
    """Another worker: its last word, when that came, and since when it is failing."""

    task: Task
    connection: socket.socket
    heard: float = field(default_factory=time.monotonic)
    word: str = _ALIVE
    failing_since: float | None = None
    unread: bytes = b""


class Peers:
    """Watches the other workers, in a thread of its own, until `leave` or `fail`.

    Arguments:
      cluster: all workers, and which one this is.
      connections: from `meeting.meet`.
      heartbeat_seconds: who is silent for so long is lost.
    """

    def __init__(self, cluster: Cluster, connections: dict[int, socket.socket], heartbeat_seconds: float) -> None:
        self._own, self._leads, self._heartbeat_seconds = cluster.own, cluster.place == 0, heartbeat_seconds
        self._word = _ALIVE
        self._failure_told, self._over = threading.Event(), threading.Event()
        self._selector = selectors.DefaultSelector()
        self._peers = [_Peer(cluster.tasks[place], connection) for place, connection in connections.items()]
        for peer in self._peers:
            self._selector.register(peer.connection, selectors.EVENT_READ, peer)
        threading.Thread(target=self._watch, name="peers", daemon=True).start()

    def leave(self) -> None:
        """Waits until every worker has come to its end, so that none takes another for lost."""
        self._word = _DONE
        while not self._over.wait(_NOTICE_SECONDS):
            names = ", ".join(str(peer.task) for peer in list(self._peers) if not (self._leads and peer.word == _DONE))
            logging.info("done here; waiting for %s to finish", names)

    def fail(self) -> None:
        """Tells the others that this worker ends with an error of its own."""
        self._word = _FAILED
        self._failure_told.wait(_FAREWELL_SECONDS)

    def wait_for_verdict(self) -> None:
        """Gives the watch time to find out who is lost and to end the process; returns if nobody is."""
        self._over.wait(self._heartbeat_seconds + _GRACE_SECONDS + _FAREWELL_SECONDS)

    def _watch(self) -> None:
        last_turn, next_beat = time.monotonic(), 0.0
        while not self._over.is_set():
            now = time.monotonic()
            if now >= next_beat:
                next_beat = now + _BEAT_SECONDS
                self._tell(self._word)
            ready = self._selector.select(next_beat - now)
            stood_still, last_turn = time.monotonic() - last_turn, time.monotonic()
            if stood_still > self._heartbeat_seconds:
                self._end(f"{self._own}, this worker, stood still for {stood_still:.0f} s")
            for key, _ in ready:
                self._listen(key.data)
            self._check()
        for peer in self._peers:
            peer.connection.close()

    def _tell(self, word: str) -> None:
        for peer in self._peers:
            with contextlib.suppress(OSError):  # `_listen` meets the end of the connection
                peer.connection.sendall(f"{word}\n".encode())
        if word == _FAILED:
            self._failure_told.set()

    def _listen(self, peer: _Peer) -> None:
        try:
            received = peer.connection.recv(4096)
        except OSError:
            received = b""
        *words, peer.unread = (peer.unread + received).split(b"\n")
        for word in words:
            self._hear(peer, word.decode(errors="replace"))
        if not received or len(peer.unread) > _LONGEST_WORD:
            self._drop(peer)

    def _hear(self, peer: _Peer, word: str) -> None:
        peer.heard = time.monotonic()
        peer.word = word if word in _STATES else peer.word
        if word == _FAILED:
            peer.failing_since = peer.failing_since or peer.heard
        elif word == _ALL_DONE:
            self._over.set()
        elif word.startswith(_LOST):
            self._end(word.removeprefix(_LOST))

    def _drop(self, peer: _Peer) -> None:
        self._selector.unregister(peer.connection)
        peer.connection.close()
        if peer.word == _ALIVE or (peer.word == _DONE and not self._leads and self._word != _DONE):
            self._end(f"{peer.task} has ended or was killed")
        if peer.word != _FAILED:
            self._peers.remove(peer)

    def _check(self) -> None:
        now = time.monotonic()
        for peer in self._peers:
            if peer.failing_since is not None:
                if now - peer.failing_since > _GRACE_SECONDS:
                    self._end(f"{peer.task} has ended with an error, see its messages")
            elif now - peer.heard > self._heartbeat_seconds:
                self._end(f"{peer.task} has been silent for {self._heartbeat_seconds:g} s")
        if self._word == _DONE and self._everyone_else_is_done():
            if self._leads:
                self._say_farewell(_ALL_DONE)
            self._over.set()

    def _everyone_else_is_done(self) -> bool:
        """Returns whether the leader has heard so of all; for the others, whether the leader has left."""
        return all(peer.word == _DONE for peer in self._peers) if self._leads else not self._peers

    def _end(self, reason: str) -> None:
        """Ends the process, unless it is about to end with an error of its own; a normal exit might wait for ever."""
        if self._word == _FAILED:
            return
        if self._leads:
            self._say_farewell(_LOST + reason)
        print(f"error: {reason}; {_REMEDY}", file=sys.stderr, flush=True)
        os._exit(1)

    def _say_farewell(self, word: str) -> None:
        """Says a last word and reads until the others hang up; closed with words unread, they might not get it."""
        self._tell(word)
        deadline = time.monotonic() + _FAREWELL_SECONDS
        for peer in self._peers:
            with contextlib.suppress(OSError):  # gone already
                peer.connection.shutdown(socket.SHUT_WR)
                while (left := deadline - time.monotonic()) > 0:
                    peer.connection.settimeout(left)
                    if not peer.connection.recv(4096):
                        break
