"""The contract that every stage keeps.

`main` turns a frozen dataclass of settings into flags and calls `run(config)`. A stage's output folder holds
`config.json` first, then the artefacts, then `report.json`, then `COMPLETED`. Started again with the same settings a
stage goes on where it stopped, or says that it is done; with other settings it stops and shows which differ.
"""

import contextlib
import hashlib
import importlib.metadata
import itertools
import json
import logging as standard_logging
import platform
import signal
import sys
import time
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from absl import app, flags, logging

from melgan.errors import ConfigError, Preempted
from tfrecords_tools.errors import DataError
from tfrecords_tools.locking import LOCK_FILE, FolderLock
from tfrecords_tools.storage import (
    AnyPath,
    as_path,
    is_file,
    is_remote,
    is_unfinished,
    list_files,
    read_text,
    write_atomically,
)

CONFIG_FILE, REPORT_FILE, COMPLETED_FILE = "config.json", "report.json", "COMPLETED"
_PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "Pillow", "protobuf", "google-crc32c")

Config = TypeVar("Config")


class StageError(Exception):
    """A stage that cannot start or go on; the message names the folder or field and the remedy."""


@dataclass(frozen=True)
class Workdir:
    """A stage's output folder, opened for its settings; workers of a cluster beside its chief have no lock."""

    path: AnyPath
    started: float
    lock: FolderLock | None

    @property
    def writable(self) -> bool:
        """Returns whether this process writes here."""
        return self.lock is not None

    def complete(self, report: dict) -> None:
        """Writes report.json, with duration, versions and the settings' digest, and then COMPLETED."""
        if not self.writable:
            return
        config_text = read_text(self.path / CONFIG_FILE)
        full = {
            "stage": json.loads(config_text)["stage"],
            **report,
            "seconds": round(time.time() - self.started, 1),
            "config_sha256": hashlib.sha256(config_text.encode()).hexdigest(),
            "versions": installed_versions(),
        }
        text = json.dumps(full, indent=1) + "\n"
        write_atomically(self.path / REPORT_FILE, text)
        write_atomically(self.path / COMPLETED_FILE, hashlib.sha256(text.encode()).hexdigest() + "\n")
        self.lock.release()


def main(config_class: type[Config], run: Callable[[Config], None], *, positional: str = "") -> None:
    """Runs a stage from the command line: exit code 0, or 1 with one line on what to do (2 for a wrong flag).

    Tools may take plain arguments: `positional` names the setting, of many values, that they are added to.
    """
    if {"-h", "-help", "--help"} & set(sys.argv[1:]):
        print(sys.modules["__main__"].__doc__, describe_settings(config_class), sep="\n")
        return
    define_flags(config_class, flags.FLAGS)

    def guarded(arguments: list[str]) -> None:
        if positional:
            flags.FLAGS[positional].value = [*flags.FLAGS[positional].value, arguments[1:]]
        elif len(arguments) > 1:
            raise app.UsageError(f"unknown argument {arguments[1]!r}; settings are given as --name=value")
        _log_plain_lines()
        with _one_line_errors():
            run(config_from_flags(config_class, flags.FLAGS))

    app.run(guarded, flags_parser=_parse_flags)


def define_flags(config_class: type, flag_values: flags.FlagValues) -> None:
    """Declares one flag for every field of a config class, with its help text and default."""
    types_of = typing.get_type_hints(config_class)
    for field in fields(config_class):
        default = None if _is_required(field) else field.default
        help_text = field.metadata["help"] + (" (required)" if _is_required(field) else "")
        _define_flag(
            field.name, _plain_type(types_of[field.name]), default, help_text, field.metadata["choices"], flag_values
        )


def describe_settings(config_class: type) -> str:
    """Returns every setting with its default and help text, in the order of the fields."""
    lines = ["settings:"]
    for field in fields(config_class):
        default = "REQUIRED" if _is_required(field) else _show(field.default)
        choices = f" ({', '.join(field.metadata['choices'])})" if field.metadata["choices"] else ""
        lines.append(f"  --{field.name}={default}".ljust(34) + f" {field.metadata['help']}{choices}")
    lines.append("also: --flagfile=FILE reads settings from a file; --verbosity=1 shows the traceback of an error")
    return "\n".join(lines)


def config_from_flags(config_class: type[Config], flag_values: flags.FlagValues) -> Config:
    """Returns the config that the flags ask for.

    Raises:
      StageError: for a required flag that was not given.
      ConfigError: for a value that the config refuses.
    """
    values = {}
    for field in fields(config_class):
        value = flag_values[field.name].value
        if value is None and _is_required(field):
            raise StageError(f"--{field.name} is required: {field.metadata['help']}")
        values[field.name] = tuple(itertools.chain(*value)) if isinstance(value, list) else value
    return config_class(**values)


def open_workdir(path: AnyPath, stage: str, config: Any, *, writable: bool = True) -> Workdir | None:
    """Opens an output folder for a stage, or returns None (and says so) if it is complete for these settings.

    Arguments:
      path: the folder; created if needed.
      stage: name of the stage.
      config: its settings.
      writable: False for the workers of a cluster that are not its chief: they neither compare settings nor write.

    Raises:
      StageError: if the folder belongs to another stage or other settings.
      DataError: if another run is at work in it.
    """
    if not writable:
        return None if is_completed(path) else Workdir(path, time.time(), lock=None)
    if not is_remote(path):
        path.mkdir(parents=True, exist_ok=True)
    config_path = path / CONFIG_FILE
    wanted = {"stage": stage, **json.loads(json.dumps(asdict(config)))}
    found = json.loads(read_text(config_path)) if is_file(config_path) else None
    if found is not None:
        _require_same(path, found, wanted, config)
    elif any(not _is_of_a_killed_run(file.name) for file in list_files(path, recursive=True)):
        raise StageError(f"{path}: not empty, and no {CONFIG_FILE} in it; choose an empty or new folder")
    if is_completed(path):
        logging.info("%s is complete already; nothing to do", path)
        return None
    lock = FolderLock(path)
    if found != wanted:
        write_atomically(config_path, json.dumps(wanted, indent=1) + "\n")
    return Workdir(path, time.time(), lock)


def local_folder(path: str, field: str) -> Path:
    """Returns the folder of a stage whose tools write to this machine only.

    Raises:
      StageError: if it lies in a bucket.
    """
    if is_remote(as_path(path)):
        raise StageError(
            f"--{field}={path}: this stage writes to a local folder only; copy it to the bucket afterwards"
        )
    return Path(path)


def require_completed(path: str, field: str) -> AnyPath:
    """Returns an input folder.

    Raises:
      StageError: if it does not exist, or its stage has not finished.
    """
    folder = as_path(path)
    if not is_remote(folder) and not folder.is_dir():
        raise StageError(f"--{field}={path}: no such folder")
    if not is_completed(folder):
        raise StageError(
            f"--{field}={path}: not complete; run the stage that makes it again, it goes on where it stopped"
        )
    return folder


def is_completed(folder: AnyPath) -> bool:
    """Returns whether a stage finished this folder."""
    return is_file(folder / COMPLETED_FILE)


def read_run(folder: AnyPath) -> tuple[dict, dict]:
    """Returns the settings and the report of a completed folder."""
    return json.loads(read_text(folder / CONFIG_FILE)), json.loads(read_text(folder / REPORT_FILE))


def digest(folder: AnyPath) -> str:
    """Returns the SHA-256 that identifies a completed folder: that of its report, which holds its figures."""
    return read_text(folder / COMPLETED_FILE).strip()


def installed_versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that decide results."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def stop_on_sigterm() -> Callable[[], bool]:
    """Takes SIGTERM, by which clusters announce the end of a machine, as a request; returns whether it came."""
    received = []
    signal.signal(signal.SIGTERM, lambda *_: received.append(True))
    return lambda: bool(received)


def _is_of_a_killed_run(name: str) -> bool:
    """Returns whether a file may lie in a folder before its config.json, see `write_atomically` and `FolderLock`."""
    return name == LOCK_FILE or (name.startswith(f".{CONFIG_FILE}.") and is_unfinished(name))


def _require_same(path: AnyPath, found: dict, wanted: dict, config: Any) -> None:
    free = {field.name for field in fields(config) if not field.metadata["changes_result"]}
    require_equal(path, *({name: of[name] for name in of if name not in free} for of in (found, wanted)))


def require_equal(path: AnyPath, found: Mapping, wanted: Mapping) -> None:
    """Does nothing if the settings that a folder was made with are those that are wanted.

    Raises:
      StageError: naming every setting that differs.
    """
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    if names:
        differences = "; ".join(f"{name} was {found.get(name)!r}, now {wanted.get(name)!r}" for name in names)
        raise StageError(f"{path}: made with other settings ({differences}); give those again, or another folder")


def _define_flag(
    name: str, kind: type, default: Any, help_text: str, choices: tuple[str, ...] | None, flag_values: flags.FlagValues
) -> None:
    if kind is tuple:  # --name=a,b and --name=a --name=b are the same
        given = None if default is None else list(default)
        flags.DEFINE_multi(flags.ListParser(), flags.ListSerializer(","), name, given, help_text, flag_values)
        return
    if choices:
        flags.DEFINE_enum(name, default, list(choices), help_text, flag_values=flag_values)
        return
    define = {
        bool: flags.DEFINE_boolean,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }[kind]
    define(name, default, help_text, flag_values=flag_values)


def _plain_type(annotation: Any) -> type:
    """Returns int for `int | None`, tuple for `tuple[str, ...]`, and so on."""
    if isinstance(annotation, types.UnionType):
        annotation = next(member for member in typing.get_args(annotation) if member is not type(None))
    return typing.get_origin(annotation) or annotation


def _show(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(default)
    return "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


def _is_required(field: Any) -> bool:
    return not isinstance(field.default, (str, int, float, bool, tuple, types.NoneType))


def _log_plain_lines() -> None:
    formatter = standard_logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S")
    handler = logging.get_absl_handler()
    handler.setFormatter(formatter)
    # TensorFlow logs through absl too; of that, only warnings are for users.
    handler.addFilter(lambda line: line.levelno >= standard_logging.WARNING or "tensorflow" not in line.pathname)


def _parse_flags(arguments: list[str]) -> list[str]:
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        print(f"error: {error}; --help lists the settings", file=sys.stderr)
        sys.exit(2)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    """Ends the process with one line for what a user can repair; with --verbosity=1 also with the traceback."""
    try:
        yield
    except (StageError, ConfigError, DataError, OSError) as error:
        if flags.FLAGS.verbosity >= 1:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except Preempted as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)
    except KeyboardInterrupt:
        print("interrupted; start the same command again to go on", file=sys.stderr)
        sys.exit(130)
