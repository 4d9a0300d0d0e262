"""A CSV of boxes beside the images, a row a box: image_name, x_min, y_min, x_max, y_max.

The numbers are pixels of the source image, upright as its EXIF tag says: x to the right, y downwards.
"""

import csv
import io
import math
from collections.abc import Iterator, Sequence, Set

from tfrecords_tools.boxes import describe_box
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, is_file, read_bytes

CORNERS = ("x_min", "y_min", "x_max", "y_max")
COLUMNS = ("image_name", *CORNERS)


def read_boxes(path: AnyPath, image_names: Set[str]) -> dict[str, list[list[float]]]:
    """Returns the boxes of every image that has any, in the order of the rows.

    Whether a box leaves its image is seen when the image is opened.

    Arguments:
      path: of the CSV.
      image_names: names of the images of the data set.

    Raises:
      DataError: for no such file or no CSV, a missing column, and for the first row that names an unknown image or
        holds something else than a box.
    """
    boxes: dict[str, list[list[float]]] = {}
    for line, row, box in box_rows(path, COLUMNS):
        if problem := _problem(row, box, image_names):
            raise DataError(f"{path} line {line}: {problem}")
        boxes.setdefault(row["image_name"], []).append(box)
    return boxes


def box_rows(path: AnyPath, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str], list[float]]]:
    """Yields every row of a CSV: its line, its cells, and its corners, NaN where there is no number.

    Arguments:
      path: of the CSV.
      columns: that it must have, `CORNERS` among them.

    Raises:
      DataError: for no such file or no CSV, or a missing column.
    """
    remedy = f"--boxes takes a CSV with the columns {', '.join(columns)}"
    if not is_file(path):
        raise DataError(f"{path}: no such file; {remedy}")
    try:
        rows = csv.DictReader(io.StringIO(read_bytes(path).decode("utf-8-sig"), newline=""))
        missing = [column for column in columns if column not in (rows.fieldnames or ())]
        if missing:
            raise DataError(f"{path}: no column {', '.join(missing)}; {remedy}")
        for row in rows:
            yield rows.line_num, row, [_number(row[column]) for column in CORNERS]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV table ({error}); {remedy}") from error


def _number(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        return math.nan


def _problem(row: dict[str, str], box: list[float], image_names: Set[str]) -> str | None:
    """Returns what is wrong with a row, and what to do about it."""
    if row["image_name"] not in image_names:
        return f"no image {row['image_name']!r} in this data set; correct the name, or remove the row"
    for column, number in zip(CORNERS, box, strict=True):
        if not math.isfinite(number):
            return f"{column} is {row[column]!r}; write a number of pixels"
    x_min, y_min, x_max, y_max = box
    if not (0 <= x_min < x_max and 0 <= y_min < y_max):
        return f"{describe_box(box)} is no box; write 0 <= x_min < x_max and 0 <= y_min < y_max"
    return None
