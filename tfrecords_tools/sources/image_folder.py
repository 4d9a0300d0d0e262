"""A folder per class: FOLDER/<class>/<any image>, and FOLDER/metadata.csv as `export` writes it, if it is there."""

from collections.abc import Sequence
from pathlib import PurePosixPath

import pandas as pd
from absl import logging

from tfrecords_tools.exports.image_folder import FILE_COLUMN, METADATA_FILE
from tfrecords_tools.foundation.archives import is_named_zip, without_ending
from tfrecords_tools.foundation.class_names import require_class_names
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, is_file, read_text
from tfrecords_tools.foundation.metadata import METADATA
from tfrecords_tools.sources.listing import list_images
from tfrecords_tools.sources.nested import names_in, unpacked
from tfrecords_tools.sources.table import SourceOptions, SourceTable, UnknownValue, image_table, require_folder
from tfrecords_tools.sources.tables_of_names import read_csv

_GENERATOR = "generator"  # a column that is filled for synthetic images
EXTENSIONS = (".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp")


def load(folder: AnyPath, options: SourceOptions) -> SourceTable:
    """Lists the images of every class folder, in order of their names; classes in order of theirs.

    Raises:
      DataError: for a missing folder, no class folder, one whose name no class may have, or a class
        without images.
    """
    del options
    require_folder(folder, "--input must hold a folder per class")
    folder = unpacked(folder, _holds_classes)
    places = _class_folders(folder)
    classes = sorted(map(without_ending, places))
    if not classes:
        raise DataError(f"{folder}: no class folders; it must hold a folder per class")
    if len(classes) == 1:
        logging.warning("%s: one class folder, %s; these shards are for a GAN alone", folder, classes[0])
    require_class_names(classes, f"{folder}")
    images = [file for file in list_images(folder, EXTENSIONS) if PurePosixPath(file.name).parts[0] in places]
    targets = [classes.index(without_ending(PurePosixPath(file.name).parts[0])) for file in images]
    for empty in set(range(len(classes))) - set(targets):
        extensions = ", ".join(EXTENSIONS)
        raise DataError(f"{folder / classes[empty]}: no images ({extensions}) in this class; fill or remove it")
    table = image_table(images, [file.name for file in images], targets)
    table, not_understood = _with_metadata(folder, table)
    return SourceTable(root=folder, classes=tuple(classes), train=table, not_understood=not_understood)


def _holds_classes(folder: AnyPath) -> bool:
    """Returns whether the folders in a folder are classes, and not a single one around those of the classes."""
    classes, _ = names_in(folder)
    inner = _folders_without_images(folder / classes[0]) if len(classes) == 1 else []
    return not inner or (len(inner) == 1 and not _folders_without_images(folder / classes[0] / inner[0]))


def _folders_without_images(folder: AnyPath) -> list[str]:
    """Returns the names of the folders in a folder; none if images lie beside them."""
    folders, files = names_in(folder)
    return [] if any(PurePosixPath(name).suffix.lower() in EXTENSIONS for name in files) else folders


def _class_folders(folder: AnyPath) -> list[str]:
    """Returns the folders of classes: zip files only where there are no others, and no second copy of all classes."""
    found, _ = names_in(folder)
    plain = [name for name in found if not is_named_zip(name)]
    folders = plain or found
    copies = [name for name in folders if _is_copy(folder / name, folders)]
    if copies:
        logging.warning("%s: holds the folders of its classes once more in %s; left out", folder, ", ".join(copies))
    return [name for name in folders if name not in copies]


def _is_copy(folder: AnyPath, classes: Sequence[str]) -> bool:
    """Returns whether a folder holds nothing but folders of the names of the others beside it, all of them."""
    inner, files = names_in(folder)
    return bool(inner) and not files and {*inner, folder.name} == set(classes)


def _with_metadata(folder: AnyPath, images: pd.DataFrame) -> tuple[pd.DataFrame, tuple[UnknownValue, ...]]:
    """Returns a table of images with what is known of them: patients, who belong in one fold, among it.

    Raises:
      DataError: if images are synthetic, which would pass for real ones.
    """
    path = folder / METADATA_FILE
    if not is_file(path) or FILE_COLUMN not in read_text(path).split("\n", 1)[0].strip().split(","):
        return images, ()
    table, not_understood = read_csv(path, (FILE_COLUMN,), FILE_COLUMN)
    drawn = table[_GENERATOR].dropna() if _GENERATOR in table else ()
    if len(drawn):
        raise DataError(f"{path}: {len(drawn)} images are synthetic, and would pass for real ones; give real images")
    known = table.set_index(FILE_COLUMN)
    keys = images["image_name"].map(lambda name: str(PurePosixPath(name).with_suffix("")))
    columns = [column for column in METADATA if column in known]
    return images.assign(**{column: keys.map(known[column]).to_numpy() for column in columns}), not_understood
