"""A folder per class: FOLDER/<class>/<any image>, and FOLDER/metadata.csv as `export` writes it, if it is there."""

from pathlib import PurePosixPath

import pandas as pd
from absl import logging

from tfrecords_tools.exports.image_folder import FILE_COLUMN, METADATA_FILE
from tfrecords_tools.foundation.class_names import require_class_names
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, is_file, list_folders, read_text
from tfrecords_tools.foundation.metadata import METADATA
from tfrecords_tools.sources.listing import is_of_the_system, list_images
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
    classes = [name for name in list_folders(folder) if not is_of_the_system(name)]
    if not classes:
        raise DataError(f"{folder}: no class folders; it must hold a folder per class")
    if len(classes) == 1:
        logging.warning("%s: one class folder, %s; these shards are for a GAN alone", folder, classes[0])
    require_class_names(classes, f"{folder}")
    images = [file for file in list_images(folder, EXTENSIONS) if "/" in file.name]
    targets = [classes.index(PurePosixPath(file.name).parts[0]) for file in images]
    for empty in set(range(len(classes))) - set(targets):
        extensions = ", ".join(EXTENSIONS)
        raise DataError(f"{folder / classes[empty]}: no images ({extensions}) in this class; fill or remove it")
    table = image_table(images, [file.name for file in images], targets)
    table, not_understood = _with_metadata(folder, table)
    return SourceTable(root=folder, classes=tuple(classes), train=table, not_understood=not_understood)


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
