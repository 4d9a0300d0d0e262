"""The files of a folder of images, without those of the system, and a count of what was not taken.

Archives, file servers and notebooks leave copies and thumbnails of images beside them, in hidden and system folders:
taken for images, they would be a class of their own, or the same image twice.
"""

import errno
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from absl import logging

from tfrecords_tools.foundation.archives import is_named_zip
from tfrecords_tools.foundation.files import AnyPath, ListedFile, is_remote, list_files
from tfrecords_tools.foundation.texts import first_names, has_control_characters, in_one_line

_SYSTEM_NAMES = {"__macosx", "@eadir", "thumbs.db", "desktop.ini", "$recycle.bin", "lost+found"}
_NAMED = 3  # of many, so many are named


def is_of_the_system(name: str) -> bool:
    """Returns whether a path has a hidden or system part, at any depth."""
    return any(part.startswith(".") or part.lower() in _SYSTEM_NAMES for part in PurePosixPath(name).parts)


def list_images(folder: AnyPath, extensions: Sequence[str]) -> list[ListedFile]:
    """Returns the files with some endings, at any depth, in order of their names; warns of what was not taken.

    Zip files are folders where neither folders nor such files lie beside them: else they may hold the same once more.
    Links to folders are followed as far as they stay inside. Names that are not UTF-8, or hold control characters, are
    left out.

    Arguments:
      folder: to list.
      extensions: in lower case, with their dot.
    """
    is_walked = not is_remote(folder) and folder.is_dir()
    files, links = _walk(folder, extensions) if is_walked else (_all_files(folder), [])
    files = [file for file in files if not is_of_the_system(file.name)]
    images = [file for file in files if _ending(file) in extensions]
    others = Counter(_ending(file) or "none" for file in files if _ending(file) not in extensions)
    unspeakable = [in_one_line(file.name) for file in images if has_control_characters(file.name)]
    if others:
        counts = ", ".join(f"{count} with {ending}" for ending, count in others.most_common())
        logging.warning("%s: files with other endings were left out: %s", folder, counts)
    if links:
        logging.warning(
            "%s: links that lead out of it, or nowhere, were left out: %s", folder, first_names(sorted(links), _NAMED)
        )
    if unspeakable:
        logging.warning(
            "%s: files whose names are not UTF-8, or hold control characters, were left out: %s",
            *(folder, first_names(unspeakable, _NAMED)),
        )
    return sorted((file for file in images if not has_control_characters(file.name)), key=lambda file: file.name)


def _all_files(folder: AnyPath) -> list[ListedFile]:
    return list_files(folder, recursive=True)


def _walk(folder: Path, extensions: Sequence[str]) -> tuple[list[ListedFile], list[str]]:
    """Returns the files, those of zip files among them, and the links that were not followed."""
    files: list[ListedFile] = []
    links: list[str] = []
    zips: dict[Path, list[str]] = {}
    others: set[Path] = set()  # folders that hold folders, or images, beside zip files
    waiting = [(folder, (os.path.realpath(folder),))]
    while waiting:
        place, above = waiting.pop()
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            name = str(Path(entry.path).relative_to(folder).as_posix())
            if entry.is_symlink() and _leads_nowhere(entry):
                links.append(name)
            elif entry.is_dir():
                real = os.path.realpath(entry.path)
                if is_of_the_system(entry.name) or real in above:  # a link to where it lies leads round for ever
                    continue
                others.add(place)
                if Path(real).is_relative_to(above[0]):
                    waiting.append((Path(entry.path), (*above, real)))
                else:
                    links.append(name)
            elif is_named_zip(entry.name) and not is_of_the_system(entry.name):
                zips.setdefault(place, []).append(name)
            elif entry.is_file():
                status = entry.stat()
                files.append(ListedFile(name, status.st_size, status.st_mtime_ns))
                if _ending(files[-1]) in extensions:
                    others.add(place)
    return files + _in_zip_files(folder, zips, others), links


def _in_zip_files(folder: Path, zips: Mapping[Path, Sequence[str]], others: Collection[Path]) -> list[ListedFile]:
    """Returns the files in zip files; those that have `others` beside them are left out, with a warning."""
    files, left_out = [], []
    for place, names in zips.items():
        if place in others:
            left_out += names
            continue
        files += [replace(file, name=f"{name}/{file.name}") for name in names for file in _all_files(folder / name)]
    if left_out:
        told = first_names(sorted(left_out), _NAMED)
        logging.warning("%s: zip files beside images or folders were left out: %s", folder, told)
    return files


def _leads_nowhere(link: os.DirEntry) -> bool:
    """Returns whether what a link leads to is not there, or is the link itself."""
    try:
        link.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return True
        raise
    return False


def _ending(file: ListedFile) -> str:
    return PurePosixPath(file.name).suffix.lower()
