"""What a run reads: folders and files, told by digest from others at the same path."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfrecords_tools.foundation.files import AnyPath, as_path, file_sha256, is_remote

_NAME = re.compile(r"(?P<setting>\w+)(?: of fold (?P<fold>\d+))?(?:, (?P<number>\d+))?")


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


def absolute_or_none(path: str) -> str:
    """Returns a path as it is written down; "" where none is given."""
    return absolute(path) if path else ""


def as_stored(value: str | Sequence[str] | None, words: Sequence[str] = ()) -> str | list[str]:
    """Returns the value of a setting that is a path, or several, with paths of this machine absolute.

    Arguments:
      value: the setting; what stands before a path, such as `classifier:`, is kept.
      words: values that are no path, such as `imagenet`.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_stored(each, words) for each in value]
    prefix, path = _split(value or "")
    return prefix + (absolute(path) if path and path not in words else path)


def is_path(stored: str | Sequence[str]) -> bool:
    """Returns whether a value of `as_stored` is a path, or some, and no word such as `imagenet`."""
    values = [stored] if isinstance(stored, str) else stored
    return bool(values) and all(os.sep in each for each in values)


def path_of(name: str, value: str | Sequence[str]) -> str:
    """Returns at which of a setting's paths an input lies; "" at none.

    Arguments:
      name: of the input: that of the setting, perhaps with its number among several, or of a fold, such as
        `synthetic of fold 3, 2`.
      value: of the setting.
    """
    values = [value] if isinstance(value, str) else list(value)
    match = _NAME.fullmatch(name)
    number = int(match["number"] or 1)
    path = values[number - 1].replace("{fold}", match["fold"] or "") if number <= len(values) else ""
    return _split(path)[1]


def is_of_setting(name: str, setting: str) -> bool:
    """Returns whether an input is one that a setting names."""
    return _NAME.fullmatch(name)["setting"] == setting


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


def _split(value: str) -> tuple[str, str]:
    """Returns what stands before a path, such as `classifier:`, and the path; no path of this machine is split."""
    word, colon, path = value.partition(":")
    is_prefix = colon and word.isidentifier() and not path.startswith("//") and not os.path.exists(value)
    return (word + colon, path) if is_prefix else ("", value)
