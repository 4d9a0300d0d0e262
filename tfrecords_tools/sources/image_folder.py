"""A folder per class: FOLDER/<class>/<any image>."""

from pathlib import Path

from tfrecords_tools.errors import DataError
from tfrecords_tools.sources.table import SourceOptions, SourceTable, image_table, require_folder

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def load(folder: Path, options: SourceOptions) -> SourceTable:
    """Lists the images of every class folder, in order of their names; classes in order of theirs.

    Raises:
      DataError: for a missing folder, fewer than two class folders, or a class without images.
    """
    del options
    require_folder(folder, "--input must hold a folder per class")
    class_folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(class_folders) < 2:
        raise DataError(f"{folder}: {len(class_folders)} class folders, at least two are needed")
    files, targets = [], []
    for target, class_folder in enumerate(class_folders):
        images = sorted(path for path in class_folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
        if not images:
            raise DataError(f"{class_folder}: no images ({', '.join(EXTENSIONS)}) in this class; fill or remove it")
        files += images
        targets += [target] * len(images)
    names = [file.relative_to(folder).as_posix() for file in files]
    return SourceTable(
        root=folder, classes=tuple(path.name for path in class_folders), train=image_table(files, names, targets)
    )
