"""Kills at random moments, until the run is whole: does it end in the bytes of an undisturbed one?"""

import hashlib
import random
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.line import command_of
from benchmarks.faults.trial import Trial, not_made, run

_KILLED = ("shards", "gan", "translator", "singan", "synthetic", "classifier")
_ARTEFACTS = ("*.tfrec", "manifest.json", "*.csv", "*.weights.h5", "*.npz")


def kills(line: Path, count: int) -> Iterator[Trial]:
    """Yields a trial for each of some kills, as many of each command."""
    for name in _KILLED:
        for number in range(count // len(_KILLED)):
            yield Trial("kill -9", f"{name}, {number + 1}", lambda folder, n=name, i=number: _kill(line, n, folder, i))


def _kill(line: Path, name: str, folder: Path, seed: int) -> str:
    """Kills a command once, at a random moment of its own time, starts it again, and compares."""
    command, settings = command_of(name, line, folder / name)
    started = time.monotonic()
    if failure := not_made(run(command, command_of(name, line, folder / "undisturbed")[1])):
        return failure
    seconds = time.monotonic() - started
    run(command, settings, timeout=random.Random(f"{name} {seed}").uniform(0.2, 1.0) * seconds)
    if failure := not_made(run(command, settings)):
        return f"does not resume: {failure}"
    digests, others = _digests(folder / "undisturbed"), _digests(folder / name)
    differing = [file for file in digests | others if digests.get(file) != others.get(file)]
    return f"other bytes in {', '.join(differing)}" if differing else ""


def _digests(folder: Path) -> dict[str, str]:
    files = [file for pattern in _ARTEFACTS for file in folder.rglob(pattern)]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
