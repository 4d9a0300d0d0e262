"""A folder per class with a table beside, which `make_shards --source=image_folder` takes back."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from tfrecords_tools.csv_tables import write_table
from tfrecords_tools.exports.images import ExportedImage
from tfrecords_tools.foundation.files import write_atomically

METADATA_FILE, FILE_COLUMN = "metadata.csv", "file"


def write(folder: Path, images: Iterable[ExportedImage]) -> None:
    """Writes FOLDER/<class>/<image>.jpg and FOLDER/metadata.csv."""
    write_images(folder, images)


def write_images(folder: Path, images: Iterable[ExportedImage], first_column: str = FILE_COLUMN) -> None:
    """Writes images into folders of their classes, and a table that begins with the path of each."""
    rows = []
    for image in images:
        place = Path(image.folder) / f"{image.name}.jpg"
        (folder / place.parent).mkdir(parents=True, exist_ok=True)
        write_atomically(folder / place, image.jpeg)
        rows.append({first_column: place.as_posix(), **image.facts})
    write_table(folder / METADATA_FILE, pd.DataFrame(rows))
