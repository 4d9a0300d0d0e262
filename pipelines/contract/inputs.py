"""What a run reads: folders and files, told by digest from others at the same path."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from tfrecords_tools.foundation.files import AnyPath, as_path, file_sha256, is_remote


@dataclass(frozen=True)
class Input:
    """A folder that a command completed, or a file: where it lies, and the SHA-256 of its contents."""

    path: str
    sha256: str


def file_input(path: str | AnyPath) -> Input:
    """Returns a file as an input."""
    return Input(absolute(path), file_sha256(as_path(str(path))))


def absolute(path: str | AnyPath) -> str:
    """Returns a path as it is written down: absolute, if it is of this machine."""
    return str(path) if is_remote(as_path(str(path))) else os.path.abspath(path)


def changed(begun_with: Mapping[str, Input], inputs: Mapping[str, Input]) -> list[str]:
    """Returns what a run was begun with and would now find changed, as text; both are inputs by name."""
    found = []
    for name, now in inputs.items():
        before = begun_with.get(name)
        if before is None:
            found.append(f"--{name} {now.path} has come")
        elif before.sha256 != now.sha256:
            found.append(f"--{name} {now.path} holds something else ({now.sha256[:8]}, not {before.sha256[:8]})")
    return found + [f"--{name} {before.path} has gone" for name, before in begun_with.items() if name not in inputs]
