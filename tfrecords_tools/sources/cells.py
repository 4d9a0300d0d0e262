"""The red-blood-cell set of the BAGAN-GP paper: pairs cell_N.png + cell_N.txt, the label in words.

Images may lie in the folder itself or in its subfolder `train`.
"""

import re
from dataclasses import replace
from pathlib import PurePosixPath

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, ListedFile, is_file, is_folder, list_files, read_bytes
from tfrecords_tools.sources.nested import holds, unpacked
from tfrecords_tools.sources.table import SourceOptions, SourceTable, image_table, require_folder

CLASSES = ("red blood cell", "ring", "schizont", "trophozoite")


def load(folder: AnyPath, options: SourceOptions) -> SourceTable:
    """Lists the cells in order of their number.

    Raises:
      DataError: for a missing folder, no cells in it, an image without a label file, or a label in no table.
    """
    del options
    require_folder(folder, "--input must hold cell_N.png and cell_N.txt")
    folder = unpacked(folder, holds("train", "cell_*"))
    in_train = is_folder(folder / "train")
    images_folder, prefix = (folder / "train", "train/") if in_train else (folder, "")
    found = [file for file in list_files(images_folder) if re.fullmatch(r"cell_.*\.png", file.name)]
    if not found:
        raise DataError(f"{images_folder}: no cell_N.png in this folder; check --input")
    cells = sorted(found, key=lambda file: (len(file.name), file.name))
    return SourceTable(
        root=folder,
        classes=CLASSES,
        train=image_table(
            [replace(file, name=f"{prefix}{file.name}") for file in cells],
            [PurePosixPath(file.name).stem for file in cells],
            [_read_label(images_folder, file) for file in cells],
        ),
    )


def _read_label(folder: AnyPath, image: ListedFile) -> int:
    path = (folder / image.name).with_suffix(".txt")
    if not is_file(path):
        raise DataError(f"{path}: no such file; every cell_N.png needs its label in cell_N.txt")
    label = read_bytes(path).decode("utf-8", errors="replace").strip()
    if label not in CLASSES:
        raise DataError(f"{path}: label {label[:40]!r} is not one of {', '.join(CLASSES)}")
    return CLASSES.index(label)
