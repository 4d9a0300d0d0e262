"""The folder of a command.

It holds `config.json` first, then the artefacts, then `report.json`, then `COMPLETED`. Started again with the same
settings a command goes on where it stopped, or says that it is done; with other settings it stops and names those
that differ.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from absl import logging

from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import (
    AnyPath,
    as_path,
    is_file,
    is_remote,
    is_unfinished,
    list_files,
    read_text,
    write_atomically,
)
from tfrecords_tools.foundation.locking import LOCK_FILE, FolderLock

CONFIG_FILE, REPORT_FILE, COMPLETED_FILE = "config.json", "report.json", "COMPLETED"


_PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "Pillow", "protobuf", "google-crc32c")


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


def open_workdir(path: AnyPath, stage: str, config: Any, *, writable: bool = True) -> Workdir | None:
    """Opens an output folder for a stage, or returns None (and says so) if it is complete for these settings.

    Arguments:
      path: the folder; created if needed.
      stage: name of the stage.
      config: its settings.
      writable: False for the workers of a cluster that are not its chief: they neither compare settings nor write.

    Raises:
      CommandError: if the folder belongs to another stage or other settings.
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
        raise CommandError(f"{path}: not empty, and no {CONFIG_FILE} in it; choose an empty or new folder")
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
      CommandError: if it lies in a bucket.
    """
    if is_remote(as_path(path)):
        raise CommandError(
            f"--{field}={path}: this stage writes to a local folder only; copy it to the bucket afterwards"
        )
    return Path(path)


def require_completed(path: str, field: str) -> AnyPath:
    """Returns an input folder.

    Raises:
      CommandError: if it does not exist, or its stage has not finished.
    """
    folder = as_path(path)
    if not is_remote(folder) and not folder.is_dir():
        raise CommandError(f"--{field}={path}: no such folder")
    if not is_completed(folder):
        raise CommandError(
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


def _is_of_a_killed_run(name: str) -> bool:
    """Returns whether a file may lie in a folder before its config.json, see `write_atomically` and `FolderLock`."""
    return name == LOCK_FILE or (name.startswith(f".{CONFIG_FILE}.") and is_unfinished(name))


def _require_same(path: AnyPath, found: dict, wanted: dict, config: Any) -> None:
    free = {field.name for field in fields(config) if not field.metadata["changes_result"]}
    require_equal(path, *({name: of[name] for name in of if name not in free} for of in (found, wanted)))


def require_equal(path: AnyPath, found: Mapping, wanted: Mapping) -> None:
    """Does nothing if the settings that a folder was made with are those that are wanted.

    Raises:
      CommandError: naming every setting that differs.
    """
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    if names:
        differences = "; ".join(f"{name} was {found.get(name)!r}, now {wanted.get(name)!r}" for name in names)
        raise CommandError(f"{path}: made with other settings ({differences}); give those again, or another folder")
