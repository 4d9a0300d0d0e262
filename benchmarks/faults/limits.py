"""Limits of the machine: files that may not grow, too few file handles, too little memory, two runs at once."""

import resource
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.faults.line import command_of
from benchmarks.faults.trial import Ended, Trial, not_made, not_refused, run

_LIMITS = {
    "no file may exceed 100 KB": (resource.RLIMIT_FSIZE, 100_000),
    "24 file handles": (resource.RLIMIT_NOFILE, 24),
    "400 MB of memory": (resource.RLIMIT_AS, 400_000_000),
}


def limits(line: Path) -> Iterator[Trial]:
    """Yields a trial for every limit, and for two runs in one folder."""
    for name, limit in _LIMITS.items():
        yield Trial("limit", f"shards, {name}", lambda folder, own=limit: _limited(line, folder, own))
    for name in ("shards", "synthetic"):
        yield Trial("two at once", name, lambda folder, own=name: _two_at_once(line, own, folder))


def _limited(line: Path, folder: Path, limit: tuple[int, int]) -> str:
    """Runs a command under a limit, which it may meet or not, and again without."""
    command, settings = command_of("shards", line, folder / "out")
    ended = run(command, settings | {"workers": 1}, limit=limit)
    failure = not_refused(ended) if ended.code else ""
    return failure or not_made(run(command, settings))


def _two_at_once(line: Path, name: str, folder: Path) -> str:
    """Starts a command twice: one works, the other is refused or finds the folder complete."""
    command, settings = command_of(name, line, folder / "out")
    ended: list[Ended] = []
    threads = [threading.Thread(target=_run_and_keep, args=(command, settings, ended)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = sorted(each.code for each in ended)
    if codes not in ([0, 0], [0, 1]):
        return f"exit codes {codes}"
    return next((failure for each in ended if each.code and (failure := not_refused(each))), "")


def _run_and_keep(command: str, settings: Mapping[str, object], ended: list[Ended]) -> None:
    ended.append(run(command, settings))
