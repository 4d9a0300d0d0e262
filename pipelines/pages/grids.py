"""Grids of images as PNG, with a name for every column and row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipelines.pages.drawing import font, shorten, write_png
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.foundation.texts import in_one_line

GRID_ROWS = 8  # images of a class that a grid shows
REAL, SYNTHETIC = "real", "synthetic"
_GAP, _HEADER, _MARGIN, _WIDEST_MARGIN = 2, 18, 44, 120
_MIN_CELL = 64


@dataclass(frozen=True)
class Column:
    """Images of a grid under each other, uint8 `[rows, H, W, 3]`, and their name, such as a class."""

    name: str
    images: np.ndarray


def column_of_class(name: str, images: np.ndarray, labels: np.ndarray, label: int) -> Column:
    """Returns the first images of a class among images `[N, H, W, 3]` with labels `[N]`."""
    return Column(name, images[np.flatnonzero(labels == label)[:GRID_ROWS]])


def write_grid(
    path: AnyPath, columns: Sequence[Column], row_names: Sequence[str] = (), *, across: bool = False
) -> None:
    """Writes a grid atomically; nothing if no column has images.

    Arguments:
      path: of the PNG.
      columns: may differ in length; those without images are left out.
      row_names: of the rows.
      across: whether columns lie on their side, from left to right below each other, as suits a page if they are few.
    """
    columns = [column for column in columns if len(column.images)]
    if not columns:
        return
    cells = {(x, y): image for x, column in enumerate(columns) for y, image in enumerate(column.images)}
    above, beside = [column.name for column in columns], row_names[: max(len(column.images) for column in columns)]
    if across:
        cells, above, beside = {(x, y): image for (y, x), image in cells.items()}, beside, above
    write_png(path, _drawn(cells, above, beside))


def _drawn(cells: Mapping[tuple[int, int], np.ndarray], above: Sequence[str], beside: Sequence[str]) -> Image.Image:
    """Returns images by their column and row, with names above the columns and beside the rows."""
    side, letters = len(next(iter(cells.values()))), font(10)
    cell = side * max(1, -(-_MIN_CELL // side))
    margin = _margin(beside, letters)
    header = _HEADER if above else 0
    columns, rows = (1 + max(place[axis] for place in cells) for axis in (0, 1))
    canvas = Image.new("RGB", (margin + columns * (cell + _GAP), header + rows * (cell + _GAP)), "white")
    draw = ImageDraw.Draw(canvas)
    for (x, y), image in cells.items():
        tile = Image.fromarray(image).resize((cell, cell), Image.Resampling.NEAREST)
        canvas.paste(tile, (margin + x * (cell + _GAP), header + y * (cell + _GAP)))
    for x, name in enumerate(above):
        draw.text((margin + x * (cell + _GAP) + 2, 2), shorten(name, cell - 4, draw, letters), "black", letters)
    for y, name in enumerate(beside):
        text = shorten(name, margin - 4, draw, letters)
        draw.text((2, header + y * (cell + _GAP) + cell // 2 - 6), text, "black", letters)
    return canvas


def _margin(names: Sequence[str], letters: ImageFont.FreeTypeFont) -> int:
    """Returns how many pixels the names of rows need, within reason; 0 without any."""
    if not names:
        return 0
    widest = max(letters.getlength(in_one_line(name)) for name in names)
    return min(max(round(widest) + 6, _MARGIN), _WIDEST_MARGIN)
