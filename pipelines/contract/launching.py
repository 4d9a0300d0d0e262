"""Commands as processes: one after the other, in the background, or several together."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pipelines.contract.flags import as_flags
from tfrecords_tools.foundation.errors import CommandError

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 15.0  # the others see a process fail, and end by themselves with a better message
_TERMINATION_SECONDS = 10.0
_ORPHAN_SECONDS = 60.0  # for a checkpoint, once nobody waits any more
_PARENT = "MELGAN_PARENT_PIPE"


def command_line(command: str, flags: Sequence[str]) -> list[str]:
    """Returns the arguments of a process that runs a command."""
    return [sys.executable, "-m", f"pipelines.{command}", *flags]


def run_command(
    command: str,
    settings: Mapping[str, object],
    *,
    log: Path | None = None,
    stop: threading.Event | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Runs a command to its end.

    Arguments:
      command: its name.
      settings: by name.
      log: file that its output is added to; by default it has the output of this process.
      stop: once it is set, the command is asked to end.
      environment: environment variables that it has beside those of this process.

    Raises:
      CommandError: if it fails.
    """
    with started(command, settings, log=log, environment=environment) as process:
        while stop is not None and process.poll() is None:
            if stop.wait(_POLL_SECONDS):
                process.terminate()
                break
        code = process.wait()
    if code:
        where = f"its output is {log}" if log else "its message stands above"
        raise CommandError(f"{command} ended with exit code {code}; {where}")


@contextlib.contextmanager
def started(
    command: str,
    settings: Mapping[str, object],
    *,
    log: Path | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[subprocess.Popen]:
    """Gives a process that runs a command; it ends with the context, and with this process however that ends.

    For the arguments see `run_command`.
    """
    with contextlib.ExitStack() as stack:
        output = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = stack.enter_context(open(log, "ab"))
        theirs, ours = os.pipe()
        stack.callback(os.close, ours)
        process = subprocess.Popen(
            command_line(command, as_flags(settings)),
            env={**os.environ, **environment, _PARENT: str(theirs)},
            stdout=output,
            stderr=output,
            pass_fds=(theirs,),
        )
        os.close(theirs)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def end_with_parent() -> None:
    """Lets this process end, as at SIGTERM, once the one that runs it together with others is gone, killed even.

    That one holds the other end of a pipe, and the system closes it.
    """
    descriptor = os.environ.pop(_PARENT, "")
    if not descriptor:
        return

    def watch() -> None:
        os.read(int(descriptor), 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_ORPHAN_SECONDS)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def run_together(lines: Sequence[Sequence[str]], environments: Sequence[Mapping[str, str]]) -> int:
    """Runs processes that depend on each other; SIGTERM and SIGINT are passed on to all.

    When one fails all end. Every line of a process's output begins with its number.

    Arguments:
      lines: the arguments of each process.
      environments: environment variables of each.

    Returns:
      The exit code of the first that failed, 0 if none did.
    """
    processes = [_start(line, environment) for line, environment in zip(lines, environments, strict=True)]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: _send(processes, number))
    printers = [
        threading.Thread(target=_print_lines, args=(index, process), daemon=True)
        for index, process in enumerate(processes)
    ]
    for printer in printers:
        printer.start()
    code = _wait(processes)
    for printer in printers:
        printer.join(_TERMINATION_SECONDS)
    return code


def _start(line: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen:
    """Starts a process in a session of its own, which a terminal's Ctrl-C reaches only through this one."""
    theirs, _ours = os.pipe()  # ours stays open as long as this process lives
    try:
        return subprocess.Popen(
            line,
            env={**environment, _PARENT: str(theirs)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(theirs,),
        )
    finally:
        os.close(theirs)


def _send(processes: Sequence[subprocess.Popen], number: int) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)


def _print_lines(index: int, process: subprocess.Popen) -> None:
    for line in process.stdout:
        sys.stdout.write(f"[{index}] {line.decode(errors='replace').rstrip()}\n")
        sys.stdout.flush()


def _wait(processes: Sequence[subprocess.Popen]) -> int:
    """Waits for all; after a failure, no longer than it takes to end the rest. Returns the first failure's code."""
    failure, failed = 0, None
    while any(process.poll() is None for process in processes):
        codes = [process.poll() for process in processes]
        if failed is None and any(codes):
            failed = time.monotonic()
            failure = next(code for code in codes if code)
        if failed is not None and time.monotonic() - failed > _GRACE_SECONDS:
            _end(processes)
        time.sleep(_POLL_SECONDS)
    code = failure or next((process.returncode for process in processes if process.returncode), 0)
    return 128 - code if code < 0 else code


def _end(processes: Sequence[subprocess.Popen]) -> None:
    _send(processes, signal.SIGTERM)
    deadline = time.monotonic() + _TERMINATION_SECONDS
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    _send(processes, signal.SIGKILL)
    for process in processes:
        process.wait()
