"""A trial: one fault, and whether the commands hold."""

import resource
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.contract.flags import as_flags
from pipelines.contract.launching import command_line

_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Trial:
    """A fault of some kind by its name.

    `run` makes it happen in an empty folder, and returns what went wrong; "" if the commands held.
    """

    kind: str
    name: str
    run: Callable[[Path], str]


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code and what it printed."""

    code: int
    output: str


def run(
    command: str, settings: Mapping[str, object], *, limit: tuple[int, int] | None = None, timeout: float | None = None
) -> Ended:
    """Runs a command, and kills it with -9 where it takes longer than `timeout` seconds.

    Arguments:
      command: its name.
      settings: by name.
      limit: a resource of the module `resource`, and how much of it the command may use.
      timeout: in seconds; a command that nobody means to kill is given up after some minutes.
    """
    limits = {} if limit is None else {"preexec_fn": lambda: resource.setrlimit(limit[0], (limit[1], limit[1]))}
    process = subprocess.Popen(
        command_line(command, as_flags(settings)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        **limits,
    )
    try:
        output, _ = process.communicate(timeout=timeout or _PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
    return Ended(process.returncode, output)


def not_made(ended: Ended) -> str:
    """Returns why a command that should have succeeded has not; "" if it has."""
    return "" if ended.code == 0 else f"exit code {ended.code}: {_last_lines(ended.output)}"


def not_refused(ended: Ended, naming: str = "") -> str:
    """Returns why a refusal is not as it should be: exit code 1 and one line, in which `naming` occurs; "" if it is."""
    errors = [line for line in ended.output.splitlines() if line.startswith("error: ")]
    if ended.code != 1:
        return f"exit code {ended.code}, not 1: {_last_lines(ended.output)}"
    if "Traceback" in ended.output or len(errors) != 1:
        return f"{len(errors)} error lines, or a traceback: {_last_lines(ended.output)}"
    return "" if naming in errors[0] else f"{naming!r} is not named: {errors[0]}"


def _last_lines(output: str) -> str:
    return " | ".join(output.strip().splitlines()[-3:])
