"""Grids of images as PNG, with a name for every column and row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from pipelines.pages.drawing import font, shorten, write_png
from tfrecords_tools.foundation.files import AnyPath

GRID_ROWS = 8  # images of a class that a grid shows
REAL, SYNTHETIC = "real", "synth."
_GAP, _HEADER, _MARGIN = 2, 18, 44
_MIN_CELL = 64


@dataclass(frozen=True)
class Column:
    """Images of a grid under each other, uint8 `[rows, H, W, 3]`, and their name, such as a class."""

    name: str
    images: np.ndarray


def column_of_class(name: str, images: np.ndarray, labels: np.ndarray, label: int) -> Column:
    """Returns the first images of a class among images `[N, H, W, 3]` with labels `[N]`."""
    return Column(name, images[np.flatnonzero(labels == label)[:GRID_ROWS]])


def write_grid(path: AnyPath, columns: Sequence[Column], row_names: Sequence[str] = ()) -> None:
    """Writes a grid atomically; nothing if no column has images.

    Arguments:
      path: of the PNG.
      columns: may differ in length; those without images are left out.
      row_names: of the rows.
    """
    columns = [column for column in columns if len(column.images)]
    if not columns:
        return
    side = columns[0].images.shape[1]
    scale = max(1, -(-_MIN_CELL // side))
    cell = side * scale
    rows = max(len(column.images) for column in columns)
    size = (_MARGIN + len(columns) * (cell + _GAP), _HEADER + rows * (cell + _GAP))
    canvas = Image.new("RGB", size, "white")
    draw, letters = ImageDraw.Draw(canvas), font(10)
    for number, column in enumerate(columns):
        left = _MARGIN + number * (cell + _GAP)
        draw.text((left + 2, 2), shorten(column.name, cell - 4, draw, letters), "black", letters)
        for row, image in enumerate(column.images):
            tile = Image.fromarray(image).resize((cell, cell), Image.Resampling.NEAREST)
            canvas.paste(tile, (left, _HEADER + row * (cell + _GAP)))
    for row, name in enumerate(row_names[:rows]):
        text = shorten(name, _MARGIN - 4, draw, letters)
        draw.text((2, _HEADER + row * (cell + _GAP) + cell // 2 - 6), text, "black", letters)
    write_png(path, canvas)
