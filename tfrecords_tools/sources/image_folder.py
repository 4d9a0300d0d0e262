"""A folder per class: FOLDER/<class>/<any image>."""

from pathlib import PurePosixPath

from absl import logging

from tfrecords_tools.foundation.class_names import require_class_names
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, list_folders
from tfrecords_tools.sources.listing import is_of_the_system, list_images
from tfrecords_tools.sources.table import SourceOptions, SourceTable, image_table, require_folder

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
    return SourceTable(
        root=folder, classes=tuple(classes), train=image_table(images, [file.name for file in images], targets)
    )
