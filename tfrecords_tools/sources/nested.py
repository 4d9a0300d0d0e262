"""Folders as they come: in zip files, and one in the other, as archives and Kaggle leave them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from absl import logging

from tfrecords_tools.foundation.archives import ENDING, without_ending
from tfrecords_tools.foundation.files import AnyPath, is_file, is_folder, list_files, list_folders
from tfrecords_tools.sources.listing import is_of_the_system


def unpacked(folder: AnyPath, *begins_with: str) -> AnyPath:
    """Returns the folder that a data set begins in: of folders that hold nothing but one folder, the innermost.

    Zip files are folders.

    Arguments:
      folder: as it was given.
      begins_with: patterns of names of files and folders, by any of which it is known.
    """
    while not _holds(folder, begins_with) and (inner := _only_folder(folder)) is not None:
        logging.info("%s holds one folder alone: reading %s", folder, folder / inner)
        folder = folder / inner
    return folder


def inner_folder(folder: AnyPath, name: str) -> str:
    """Returns the path from a folder to one in it, which may lie in a zip file of its name, itself or what is above it.

    Arguments:
      folder: where it is looked for.
      name: its path, such as jpeg/train.

    Returns:
      The path, such as jpeg.zip/jpeg/train; `name` if there is no such folder.
    """
    parts = PurePosixPath(name).parts
    for depth in range(len(parts), 0, -1):
        zipped, rest = zip_beside(folder, "/".join(parts[:depth])), parts[depth:]
        for place in ((zipped, parts[depth - 1], *rest), (zipped, *rest)):
            found = "/".join(place)
            if not is_folder(folder / name) and is_folder(folder / found):
                return found
    return name


def inner_file(folder: AnyPath, name: str) -> AnyPath:
    """Returns the path of a file in a folder, which may lie in a zip file of its name, such as train.csv.zip."""
    zipped = folder / zip_beside(folder, name) / name
    return zipped if not is_file(folder / name) and is_file(zipped) else folder / name


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


def _holds(folder: AnyPath, patterns: Sequence[str]) -> bool:
    names = [without_ending(name) for names in names_in(folder) for name in names]
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _only_folder(folder: AnyPath) -> str | None:
    """Returns the name of the only thing in a folder, if that is a folder."""
    folders, files = names_in(folder)
    return folders[0] if len(folders) == 1 and not files else None
