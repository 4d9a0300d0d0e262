"""Commands as processes that start at once: forked from one that has imported TensorFlow, which takes seconds.

    python -m tests.command_server SOCKET

A process that asks for a command is told its number, and its exit code when it has ended. What differs from
`python -m pipelines.COMMAND` is the start alone; the tests in `tests/pipelines/contract` start commands as users do.
"""

import atexit
import contextlib
import importlib
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

import pipelines
from pipelines.contract.flags import as_flags
from tests.short_programs import leave_programs_as_traced

ROOT = Path(__file__).resolve().parent.parent
_LONGEST_START = 120.0


class Command:
    """A command that runs as a process of its own; like `subprocess.Popen`, it can be waited for, asked and killed."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._messages = connection, connection.makefile("r")
        self.pid: int = json.loads(self._messages.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Returns the exit code, minus the signal that ended it, or None while it runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self._read()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Returns the exit code when it has ended; raises subprocess.TimeoutExpired if that takes longer."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            self._read()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills it."""
        self.send_signal(signal.SIGKILL)

    def _read(self) -> None:
        self.returncode = json.loads(self._messages.readline())
        self._messages.close()
        self._connection.close()


@cache
def command_server() -> "CommandServer":
    """Returns the server of this process, which ends with it."""
    return CommandServer(Path(tempfile.mkdtemp(prefix="commands")) / "socket")


class CommandServer:
    """The process that commands are forked from; it ends with the one that started it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        line = [sys.executable, "-m", "tests.command_server", str(path)]
        self._process = subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True)

    def start(
        self,
        command: str,
        settings: Mapping[str, object],
        *,
        stdout: Path,
        stderr: Path,
        environment: Mapping[str, str] | None = None,
    ) -> Command:
        """Starts a command as the leader of a session of its own.

        Arguments:
          command: its name.
          settings: its flags.
          stdout, stderr: files that its output is appended to.
          environment: its variables; by default those that this process has now.
        """
        connection = self._connect()
        request = {
            "command": command,
            "arguments": as_flags(settings),
            "environment": dict(os.environ if environment is None else environment),
            "outputs": [str(stdout), str(stderr)],
        }
        connection.sendall(json.dumps(request).encode() + b"\n")
        return Command(connection)

    def _connect(self) -> socket.socket:
        end = time.monotonic() + _LONGEST_START
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self._path))
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                time.sleep(0.05)


def serve(path: str) -> None:
    """Forks a process for every request, until the one that started this has ended and so closed stdin."""
    for module in pkgutil.iter_modules(pipelines.__path__, "pipelines."):
        if not module.ispkg:
            importlib.import_module(module.name)
    leave_programs_as_traced()
    running: dict[int, socket.socket] = {}
    wakeup, woken = socket.socketpair()
    wakeup.setblocking(False)
    signal.set_wakeup_fd(wakeup.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        while True:
            ready, _, _ = select.select([listening, woken, sys.stdin], [], [])
            if sys.stdin in ready:
                shutil.rmtree(Path(path).parent)
                return
            if woken in ready:
                woken.recv(4096)
                _tell_ends(running)
            if listening in ready:
                connection, _ = listening.accept()
                request = json.loads(connection.makefile("r").readline())
                pid = os.fork()
                if not pid:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for each in (listening, woken, wakeup, connection, *running.values()):
                        each.close()
                    _become(**request)
                _tell(connection, pid)
                running[pid] = connection


def _tell_ends(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with running.pop(pid) as connection:
            _tell(connection, os.waitstatus_to_exitcode(status))


def _tell(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        connection.sendall(f"{number}\n".encode())


def _become(command: str, arguments: Sequence[str], environment: Mapping[str, str], outputs: Sequence[str]) -> NoReturn:
    """Becomes a command, which ends as Python ends, but does not take TensorFlow apart."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    for number, name in enumerate([os.devnull, *outputs]):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = [command, *arguments]
    code = 0
    try:
        runpy.run_module(f"pipelines.{command}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    serve(sys.argv[1])
