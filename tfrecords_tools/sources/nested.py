"""Folders as they come: in zip files, and one in the other, as archives and Kaggle leave them."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from absl import logging

from tfrecords_tools.foundation.archives import ENDING, without_ending
from tfrecords_tools.foundation.files import AnyPath, is_file, is_folder, list_files, list_folders
from tfrecords_tools.sources.listing import is_of_the_system


def unpacked(folder: AnyPath, is_begun: Callable[[AnyPath], bool]) -> AnyPath:
    """Returns the folder that a data set begins in: of folders that hold nothing but one folder, the innermost.

    Zip files are folders.

    Arguments:
      folder: as it was given.
      is_begun: whether a folder is the one that it begins in.
    """
    while not is_begun(folder) and (inner := _only_folder(folder)) is not None:
        logging.info("%s holds one folder alone: reading %s", folder, folder / inner)
        folder = folder / inner
    return folder


def holds(*patterns: str) -> Callable[[AnyPath], bool]:
    """Returns what tells whether a folder holds a file or folder by one of some patterns."""

    def is_held(folder: AnyPath) -> bool:
        names = [without_ending(name) for names in names_in(folder) for name in names]
        return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)

    return is_held


def inner_folder(folder: AnyPath, name: str) -> str:
    """Returns the path from a folder to one in it, which may lie in a zip file of its name, itself or what is above it.

    Arguments:
      folder: where it is looked for.
      name: its path, such as jpeg/train.

    Returns:
      The path, such as jpeg.zip/jpeg/train; `name` if there is no such folder.
    """
    if is_folder(folder / name):
        return name
    parts = PurePosixPath(name).parts
    for depth in range(len(parts), 0, -1):
        zipped, rest = zip_beside(folder, "/".join(parts[:depth])), parts[depth:]
        for place in ((zipped, parts[depth - 1], *rest), (zipped, *rest)):
            found = "/".join(place)
            if is_folder(folder / found):
                return found
    return name


def inner_file(folder: AnyPath, name: str) -> AnyPath:
    """Returns the path of a file in a folder, which may lie in a zip file of its name, such as train.csv.zip."""
    if is_file(folder / name):
        return folder / name
    zipped = folder / zip_beside(folder, name) / name
    return zipped if is_file(zipped) else folder / name


def zip_beside(folder: AnyPath, name: str) -> str:
    """Returns the path of the zip file in the place of a folder or file; the case of its ending does not matter."""
    place = PurePosixPath(name)
    names = [
        file.name for file in list_files(folder / place.parent) if without_ending(file.name) == place.name != file.name
    ]
    return str(place.with_name(names[0] if names else f"{place.name}{ENDING}"))


def names_in(folder: AnyPath) -> tuple[list[str], list[str]]:
    """Returns the names of folders in a folder, zip files among them, and of the other files; none of the system."""
    folders = [name for name in list_folders(folder) if not is_of_the_system(name)]
    files = [file.name for file in list_files(folder) if not is_of_the_system(file.name)]
    return folders, [name for name in files if name not in folders]


def _only_folder(folder: AnyPath) -> str | None:
    """Returns the name of the only thing in a folder, if that is a folder."""
    folders, files = names_in(folder)
    return folders[0] if len(folders) == 1 and not files else None
