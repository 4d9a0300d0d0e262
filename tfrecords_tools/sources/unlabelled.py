"""Images without labels: all of a folder, or those that a CSV table names."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from unicodedata import normalize

import pandas as pd

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import MISSING_SIZE, AnyPath, ListedFile, file_size, read_bytes
from tfrecords_tools.foundation.metadata import MISSING
from tfrecords_tools.sources.image_folder import EXTENSIONS
from tfrecords_tools.sources.listing import list_images
from tfrecords_tools.sources.table import COLUMNS, file_columns, image_table, require_folder
from tfrecords_tools.sources.tables_of_names import read_csv, require_matches

NAME_COLUMNS = ("image_name", "path", "image")  # the first that a table has names its images


def list_folder(folder: AnyPath) -> pd.DataFrame:
    """Returns the images of a folder, at any depth, in order of their names, which are paths from the folder.

    Columns are those of a source, without metadata.

    Raises:
      DataError: if there is no such folder, or no image in it.
    """
    require_folder(folder, "give a folder of images or of shards, or a CSV file")
    images = list_images(folder, EXTENSIONS)
    if not images:
        raise DataError(f"{folder}: no images ({', '.join(EXTENSIONS)}) in it; give a folder of images or of shards")
    return image_table(images, [file.name for file in images], [MISSING] * len(images))


def one_image(path: AnyPath) -> pd.DataFrame:
    """Returns the only image of a file, as `list_folder` does those of a folder."""
    return image_table([ListedFile(path.name, file_size(path), 0)], [path.name], [MISSING])


def is_image(path: AnyPath) -> bool:
    """Returns whether a file has the ending of an image."""
    return path.suffix.lower() in EXTENSIONS


def read_named_images(path: AnyPath, folder: AnyPath) -> pd.DataFrame:
    """Returns the images that the rows of a CSV table name, in their order, with the metadata that it has.

    Names are paths from a folder, with or without the ending of the file, or the name of the file alone where no other
    file of the folder has it. Images without a file have the size `MISSING_SIZE`.

    Raises:
      DataError: if the table cannot be read or is empty, most of its images are not in the folder, or a name stands
        for several of them.
    """
    require_folder(folder, "--images must be the folder of the images that the table names")
    column = _name_column(path)
    table, _ = read_csv(path, (column,), column)
    if table.empty:
        raise DataError(f"{path}: no row in it; give a table with a row an image")
    names = table[column]
    table = table.drop(columns=[name for name in ("image_name", *file_columns([])) if name in table])
    table = table.assign(image_name=names, **file_columns(_find(path, folder, names.tolist())), target=MISSING)
    return table.reindex(columns=[*COLUMNS, "target"])


def _name_column(path: AnyPath) -> str:
    """Returns the column of names of a table, whatever else is wrong with it."""
    header = read_bytes(path).partition(b"\n")[0].decode(errors="ignore").lower()
    columns = {column.strip().strip("\"'") for column in header.lstrip("\ufeff").split(",")}
    return next((name for name in NAME_COLUMNS if name in columns), NAME_COLUMNS[0])


def _find(path: AnyPath, folder: AnyPath, names: Sequence[str]) -> list[ListedFile]:
    """Returns the file of every name."""
    of_key: dict[str, list[ListedFile]] = defaultdict(list)
    for file in list_images(folder, EXTENSIONS):
        for key in _keys(file.name):
            of_key[key].append(file)
    inside = [normalize("NFC", name).removeprefix(f"{folder}/").removeprefix("./") for name in names]
    require_matches(path, [name.lower() for name in inside], folder, of_key)
    return [_the_one(path, name, of_key.get(name.lower(), [])) for name in inside]


def _keys(file: str) -> set[str]:
    """Returns all that a file may be called by, in lower case: its path and its name, with and without its ending."""
    place = PurePosixPath(normalize("NFC", file).lower())
    return {str(place), str(place.with_suffix("")), place.name, place.stem}


def _the_one(path: AnyPath, name: str, files: Sequence[ListedFile]) -> ListedFile:
    """Returns the only file of a name, or that whose path is the name; one that is not there where there is none."""
    if not files:
        return ListedFile(f"{name}{EXTENSIONS[0]}", MISSING_SIZE, 0)
    at_path = [file for file in files if name in (file.name, str(PurePosixPath(file.name).with_suffix("")))]
    found = at_path if len(at_path) == 1 else files
    if len(found) > 1:
        raise DataError(f"{path}: image {name} may be {found[0].name} or {found[1].name}; give its path from --images")
    return found[0]
