"""Folders damaged after they were completed: does the next command refuse them by the name of the file?"""

from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.faults.line import command_of, copy_of
from benchmarks.faults.trial import Trial, not_refused, run

_READ_BY = {"shards": "classifier", "gan": "synthetic", "synthetic": "mixed", "classifier": "submission"}
_DAMAGED: dict[str, tuple[str, ...]] = {
    "shards": ("manifest.json", "report.json", "config.json", "COMPLETED", "train00-*.tfrec", "train03-*.tfrec"),
    "gan": ("generator.weights.h5", "report.json", "config.json", "COMPLETED", "metrics.jsonl"),
    "synthetic": ("manifest.json", "report.json", "config.json", "COMPLETED", "synthetic00-*.tfrec"),
    "classifier": ("fold0/best.weights.h5", "oof.csv", "report.json", "config.json", "COMPLETED", "metrics.jsonl"),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut": _cut,
    "emptied": _empty,
    "a bit flipped": _flip,
    "gone": Path.unlink,
}


def damages(line: Path) -> Iterator[Trial]:
    """Yields a trial for every damage of every file."""
    for name, files in _DAMAGED.items():
        for file in files:
            for damage, spoil in DAMAGES.items():
                yield Trial(
                    "damaged folder",
                    f"{name}/{file} {damage}",
                    lambda folder, n=name, f=file, s=spoil: _damage(line, folder, n, f, s),
                )


def _damage(line: Path, folder: Path, name: str, file: str, spoil: Callable[[Path], None]) -> str:
    copy_of(line, folder, ("shards", "gan", "synthetic", "classifier"))
    (path,) = (folder / name).glob(file)
    spoil(path)
    reader = _READ_BY[name]
    return not_refused(run(*command_of(reader, folder, folder / "out")), str(folder / name))
