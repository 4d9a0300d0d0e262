"""The folder of a command.

It holds `config.json` first, with the digests of what the command reads beside its settings; then the artefacts, then
`report.json` with their digests, then `COMPLETED` with that of the report. Started again with the same settings and
inputs a command resumes where it stopped, or says that it is done; with others it stops and names those that differ. A
command opens its folder before anything else, and begins it once its inputs are found to be right.

Digests tell accidents, such as another run at the same path or a damaged disk. They do not protect against an owner
who rewrites all of them.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType, TracebackType
from typing import Any, TypeVar

from absl import logging

from pipelines.contract.inputs import Input, absolute, as_stored, changed, file_input, is_of_setting, is_path, path_of
from tfrecords_tools.foundation.documents import as_plain, read_document, read_plain, stored
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.foundation.files import (
    AnyPath,
    as_path,
    file_sha256,
    is_file,
    is_remote,
    is_unfinished,
    list_files,
    read_text,
    remove,
    write_atomically,
)
from tfrecords_tools.foundation.locking import LOCK_FILE, FolderLock
from tfrecords_tools.foundation.settings import (
    current_names,
    differences,
    path_settings,
    read_settings,
    result_settings,
    setting_of,
)

CONFIG_FILE, REPORT_FILE, COMPLETED_FILE = "config.json", "report.json", "COMPLETED"
_PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "Pillow", "protobuf", "google-crc32c")
_COMMAND = "stage"  # its key in config.json and report.json
_INPUTS, _FILES, _CONFIG_DIGEST = "inputs", "files", "config_sha256"  # further keys there
_TENSORBOARD_PREFIX = "events.out.tfevents."
_REMEDY = "run the command that makes this folder again, in a new one"

Config = TypeVar("Config")
Report = TypeVar("Report")


@dataclass(frozen=True)
class Facts:
    """The part of report.json that all commands write: the command, its duration in seconds, versions of packages."""

    command: str = stored(_COMMAND)
    seconds: float
    versions: dict[str, str] = field(default_factory=dict)


class Workdir:
    """A command's folder, held by one run from `open_workdir` to the end of its `with` block.

    Workers of a cluster beside its chief hold it without a lock, and write nothing.
    """

    def __init__(
        self, path: AnyPath, settings: dict[str, Any], lock: FolderLock | None, created: Sequence[Path] = ()
    ) -> None:
        self.path = path
        self._settings, self._lock, self._created = settings, lock, created
        self._started = time.time()

    @property
    def writable(self) -> bool:
        """True if this process writes here."""
        return self._lock is not None

    def __enter__(self) -> "Workdir":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Gives the folder free; folders that were made for this run are removed if it was not begun."""
        if self._created and not is_file(self.path / CONFIG_FILE):
            with contextlib.suppress(OSError):  # somebody else has put something there
                for folder in self._created:
                    folder.rmdir()
        if self._lock is not None:
            self._lock.release()

    def begin(self, inputs: Mapping[str, Input] = MappingProxyType({})) -> None:
        """Writes config.json: from here on the folder belongs to these settings and inputs.

        Arguments:
          inputs: what the command reads, by the name of the setting that names it.

        Raises:
          CommandError: if the folder was begun with other inputs.
        """
        if not self.writable:
            return
        begun_with = None if _is_unused(self.path) else _recorded_inputs(self.path)
        inputs = _away(begun_with or {}) | dict(inputs)
        if begun_with is not None and (others := changed(begun_with, inputs)):
            raise CommandError(
                f"{self.path}: begun with other inputs ({'; '.join(others)}); put those back, or choose another folder"
            )
        for file in [] if is_remote(self.path) else list_files(self.path, recursive=True):
            if is_unfinished(file.name):
                remove(self.path / file.name)  # of a run that was killed
        stored_inputs = {_INPUTS: {name: asdict(value) for name, value in inputs.items()}}
        text = json.dumps(self._settings | stored_inputs, indent=1) + "\n"
        if not is_file(self.path / CONFIG_FILE) or read_text(self.path / CONFIG_FILE) != text:
            write_atomically(self.path / CONFIG_FILE, text)

    def complete(self, report: Any, files: Iterable[str] = ()) -> None:
        """Writes report.json, with duration, versions and digests, and then COMPLETED.

        Arguments:
          report: a dataclass.
          files: names of the artefacts that later commands read; shards are left to their manifest.
        """
        if not self.writable:
            return
        config_text = read_text(self.path / CONFIG_FILE)
        full = {
            _COMMAND: self._settings[_COMMAND],
            **as_plain(report),
            "seconds": round(time.time() - self._started, 1),
            _CONFIG_DIGEST: _sha256(config_text),
            _FILES: {name: file_sha256(self.path / name) for name in files},
            "versions": installed_versions(),
        }
        text = json.dumps(full, indent=1) + "\n"
        write_atomically(self.path / REPORT_FILE, text)
        write_atomically(self.path / COMPLETED_FILE, _sha256(text) + "\n")


def open_workdir(path: AnyPath, command: str, config: Any, *, writable: bool = True) -> Workdir | None:
    """Returns the folder of a command, or None (and says so) if it is complete for these settings.

    Arguments:
      path: the folder; created if needed.
      command: its name.
      config: its settings.
      writable: False for the workers of a cluster that are not its chief: they neither compare settings nor write.

    Raises:
      CommandError: if the folder belongs to another command, other settings or, if it is complete, other inputs.
      DataError: if another run is at work in it, or something that it is complete with is damaged or gone.
    """
    settings = _settings_as_stored(command, config)
    if not writable:
        return None if is_completed(path) else Workdir(path, settings, None)
    created = [] if is_remote(path) else [folder for folder in (path, *path.parents) if not folder.exists()]
    if not is_remote(path):
        path.mkdir(parents=True, exist_ok=True)
    if _is_done(path, type(config), settings):
        return None
    workdir = Workdir(path, settings, FolderLock(path), created)
    # Another run may have ended while this one waited for the lock: nothing may be written beside its COMPLETED.
    with contextlib.ExitStack() as stack:
        stack.enter_context(workdir)
        if _is_done(path, type(config), settings):
            return None
        stack.pop_all()
    return workdir


def is_made(path: AnyPath, command: str, config: Any) -> bool:
    """Returns whether a command has completed a folder with these settings. For what it raises see `open_workdir`."""
    return _is_made(path, type(config), _settings_as_stored(command, config))


def _is_done(path: AnyPath, config_class: type, settings: dict[str, Any]) -> bool:
    """Returns whether a folder is complete for these settings, and says so. For what it raises see `open_workdir`."""
    if not _is_made(path, config_class, settings):
        return False
    logging.info("%s is complete already; nothing to do", path)
    return True


def _is_made(path: AnyPath, config_class: type, settings: dict[str, Any]) -> bool:
    if not _is_unused(path):
        if not is_file(path / CONFIG_FILE):
            raise CommandError(f"{path}: not empty, and no {CONFIG_FILE} in it; choose an empty or new folder")
        _require_same_run(path, config_class, settings)
    if not is_completed(path):
        return False
    _require_whole(path)
    _require_same_inputs(path)
    return True


def _settings_as_stored(command: str, config: Any) -> dict[str, Any]:
    """Returns the name and the settings of a command as config.json holds them."""
    paths = {name: _as_stored(type(config), name, getattr(config, name)) for name in path_settings(type(config))}
    return {_COMMAND: command, **json.loads(json.dumps(asdict(config) | paths))}


def local_folder(path: str, field: str) -> Path:
    """Returns the folder of a command whose tools write to this machine only.

    Raises:
      CommandError: if it lies in a bucket.
    """
    if is_remote(as_path(path)):
        raise CommandError(
            f"--{field}={path}: this command writes to a local folder only; copy it to the bucket afterwards"
        )
    return Path(path)


def require_completed(path: str, field: str) -> AnyPath:
    """Returns an input folder.

    Raises:
      CommandError: if it does not exist, or its command has not finished.
      DataError: if a file of it is not the one that its command wrote.
    """
    folder = as_path(path)
    if not is_remote(folder) and not folder.is_dir():
        raise CommandError(f"--{field}={path}: no such folder")
    if not is_completed(folder):
        raise CommandError(
            f"--{field}={path}: not complete; run the command that makes it again, it resumes where it stopped"
        )
    _require_whole(folder)
    return folder


def folder_input(folder: str | AnyPath) -> Input:
    """Returns a completed folder as an input. Folders with the same artefacts are the same, whenever they were made."""
    folder = as_path(str(folder))
    files = read_plain(folder / REPORT_FILE, _REMEDY).get(_FILES)
    return Input(absolute(folder), _sha256(json.dumps(files, sort_keys=True)) if files else digest(folder))


def is_completed(folder: AnyPath) -> bool:
    """Returns whether a command finished this folder."""
    return is_file(folder / COMPLETED_FILE)


def digest(folder: AnyPath) -> str:
    """Returns the SHA-256 of the report of a completed folder, which identifies its results."""
    return read_text(folder / COMPLETED_FILE).strip()


def read_facts(folder: AnyPath) -> Facts:
    """Returns what the report of every command holds."""
    return read_document(folder / REPORT_FILE, Facts, _REMEDY)


def read_report(folder: AnyPath, kind: type[Report]) -> Report:
    """Returns the report of a completed folder.

    Raises:
      DataError: if it is damaged.
    """
    return read_document(folder / REPORT_FILE, kind, _REMEDY)


def read_config(folder: AnyPath, kind: type[Config]) -> Config:
    """Returns the settings of a folder; what came after it was made has its default."""
    return read_settings(kind, read_plain(folder / CONFIG_FILE, _REMEDY))


def read_raw_settings(folder: AnyPath) -> dict[str, Any]:
    """Returns the settings of a folder as they were written, to be shown."""
    stored_values = read_plain(folder / CONFIG_FILE, _REMEDY)
    return {name: value for name, value in stored_values.items() if name not in (_COMMAND, _INPUTS)}


def require_run(path: str, field: str, command: str) -> AnyPath:
    """Returns an input folder that a command has made.

    Raises:
      CommandError: if it does not exist, is not complete, or was made by another command.
    """
    folder = require_completed(path, field)
    made_by = read_facts(folder).command
    if made_by != command:
        raise CommandError(f"--{field}={path}: made by {made_by}, not by {command}")
    return folder


def installed_versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that decide results."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def require_same_settings(path: AnyPath, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Does nothing if the settings that a folder was made with are those that are wanted.

    Raises:
      CommandError: naming every setting that differs.
    """
    others = differences(found, wanted)
    if others:
        raise CommandError(f"{path}: made with other settings ({others}); give those again, or another folder")


def _require_same_run(path: AnyPath, config_class: type, wanted: Mapping[str, Any]) -> None:
    found = {name: value for name, value in read_plain(path / CONFIG_FILE, _REMEDY).items() if name != _INPUTS}
    if found.get(_COMMAND) != wanted[_COMMAND]:
        raise CommandError(
            f"{path}: a folder of {found.get(_COMMAND)!r}, not of {wanted[_COMMAND]!r}; choose an empty or new one"
        )
    found = current_names(config_class, found)
    found |= {name: _as_stored(config_class, name, found.get(name)) for name in path_settings(config_class)}
    found |= {name: wanted[name] for name in path_settings(config_class) if _is_same_input(path, name, found, wanted)}
    free = {name for name in wanted if name not in {_COMMAND, *result_settings(config_class)}}
    require_same_settings(path, *({name: of[name] for name in of if name not in free} for of in (found, wanted)))


def _as_stored(config_class: type, name: str, value: Any) -> str | list[str]:
    """Returns the value of a setting that is a path as config.json holds it."""
    return as_stored(value, setting_of(config_class, name).words)


def _is_same_input(path: AnyPath, name: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Returns whether a setting that is a path names what it named when the folder was begun, wherever it lies now.

    While a folder is not complete, its command compares the contents, see `Workdir.begin`.
    """
    before, now = found[name], wanted[name]
    if before == now or not is_completed(path):
        return before == now or (is_path(before) and is_path(now))
    inputs = {each: at for each, at in (_recorded_inputs(path) or {}).items() if is_of_setting(each, name)}
    there = {each: _input_at(path_of(each, now)) for each in inputs}
    return bool(inputs) and all(there[each] and there[each].sha256 == at.sha256 for each, at in inputs.items())


def _require_whole(folder: AnyPath) -> None:
    """Compares all digests that a completed folder holds.

    Raises:
      DataError: naming the first file that is not the one that the command wrote.
    """
    report_text = read_text(folder / REPORT_FILE)
    if _sha256(report_text) != digest(folder):
        raise DataError(f"{folder / REPORT_FILE}: not the one that {COMPLETED_FILE} tells of; {_REMEDY}")
    report = read_plain(folder / REPORT_FILE, _REMEDY)
    recorded = {CONFIG_FILE: report[_CONFIG_DIGEST]} if _CONFIG_DIGEST in report else {}
    for name, sha256 in (recorded | report.get(_FILES, {})).items():
        if not is_file(folder / name):
            raise DataError(f"{folder / name}: gone, though this folder is complete; put it back, or {_REMEDY}")
        if file_sha256(folder / name) != sha256:
            raise DataError(f"{folder / name}: not the one that {REPORT_FILE} tells of; put it back, or {_REMEDY}")


def _require_same_inputs(path: AnyPath) -> None:
    """Compares the inputs of a completed folder with what lies there now; what is away has done its work."""
    begun_with = _recorded_inputs(path) or {}
    there = {name: now for name, before in begun_with.items() if (now := _input_at(before.path)) is not None}
    others = changed({name: begun_with[name] for name in there}, there)
    if others:
        raise CommandError(f"{path}: complete, but with other inputs ({'; '.join(others)}); choose another folder")


def _recorded_inputs(path: AnyPath) -> dict[str, Input] | None:
    """Returns the inputs that config.json tells of, None where an earlier version wrote it."""
    stored_inputs = read_plain(path / CONFIG_FILE, _REMEDY).get(_INPUTS)
    return None if stored_inputs is None else {name: Input(**value) for name, value in stored_inputs.items()}


def _away(begun_with: Mapping[str, Input]) -> dict[str, Input]:
    """Returns the inputs of a run that are not there any more: what is away has done its work."""
    return {name: before for name, before in begun_with.items() if _input_at(before.path) is None}


def _input_at(path: str) -> Input | None:
    """Returns the input that lies at a path; None if it is away, or a folder that is not complete."""
    if path and is_file(as_path(path)):
        return file_input(path)
    return folder_input(path) if path and is_completed(as_path(path)) else None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is_unused(path: AnyPath) -> bool:
    """Returns whether a folder holds no artefact: it belongs to nobody, even if a run that failed has begun it."""
    return all(_is_left_by_a_failed_start(file.name) for file in list_files(path, recursive=True))


def _is_left_by_a_failed_start(file: str) -> bool:
    name = PurePosixPath(file).name
    return file in (LOCK_FILE, CONFIG_FILE) or is_unfinished(name) or name.startswith(_TENSORBOARD_PREFIX)
