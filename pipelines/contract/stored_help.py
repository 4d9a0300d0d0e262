"""The help of all commands, stored at installation: the commands import TensorFlow, which takes seconds.

    python -m pipelines.contract.stored_help

It counts while the sources are those that it was written from.
"""

import contextlib
import hashlib
import io
import json
import runpy
import sys
from collections.abc import Iterable
from pathlib import Path

from pipelines.contract.commands import COMMANDS

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("melgan", "pipelines", "tfrecords_tools")
_FILE = Path(__file__).with_name("help.json")
_SOURCES, _TEXTS = "sources", "texts"


def stored_help(command: str, file: Path = _FILE) -> str | None:
    """Returns the help of a command; None if none is stored, or that of other sources, or the file is damaged.

    Arguments:
      command: its name, such as `train_gan`.
      file: written by `store_help`.
    """
    if not file.is_file():
        return None
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return stored[_TEXTS][command] if stored[_SOURCES] == _digest_of_sources() else None
    except (ValueError, KeyError):
        return None


def store_help(commands: Iterable[str], file: Path = _FILE) -> None:
    """Stores the help of commands."""
    stored = {_SOURCES: _digest_of_sources(), _TEXTS: {command: _ask(command) for command in commands}}
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(stored), encoding="utf-8")
    unfinished.replace(file)


def _ask(command: str) -> str:
    sys.argv = [command, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        runpy.run_module(f"pipelines.{command}", run_name="__main__", alter_sys=True)
    return output.getvalue()


def _digest_of_sources() -> str:
    found = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            found.update(str(path.relative_to(_ROOT)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    store_help(COMMANDS.values())
