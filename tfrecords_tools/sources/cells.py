"""The red-blood-cell set of the BAGAN-GP paper: pairs cell_N.png + cell_N.txt, the label in words.

Images may lie in the folder itself or in its subfolder `train`.
"""

from pathlib import Path

from tfrecords_tools.errors import DataError
from tfrecords_tools.sources.table import SourceOptions, SourceTable, image_table, require_folder

CLASSES = ("red blood cell", "ring", "schizont", "trophozoite")


def load(folder: Path, options: SourceOptions) -> SourceTable:
    """Lists the cells in order of their number.

    Raises:
      DataError: for a missing folder, no cells in it, an image without a label file, or a label in no table.
    """
    del options
    require_folder(folder, "--input must hold cell_N.png and cell_N.txt")
    images_folder = folder / "train" if (folder / "train").is_dir() else folder
    files = sorted(images_folder.glob("cell_*.png"), key=lambda file: (len(file.stem), file.stem))
    if not files:
        raise DataError(f"{images_folder}: no cell_N.png in this folder; check --input")
    return SourceTable(
        root=folder,
        classes=CLASSES,
        train=image_table(files, [file.stem for file in files], [_read_label(file) for file in files]),
    )


def _read_label(image: Path) -> int:
    path = image.with_suffix(".txt")
    if not path.is_file():
        raise DataError(f"{path}: no such file; every cell_N.png needs its label in cell_N.txt")
    label = path.read_text(encoding="utf-8", errors="replace").strip()
    if label not in CLASSES:
        raise DataError(f"{path}: label {label[:40]!r} is not one of {', '.join(CLASSES)}")
    return CLASSES.index(label)
