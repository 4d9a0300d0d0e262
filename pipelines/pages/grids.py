"""Grids of images as PNG, with a name for every column and row."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipelines.pages.drawing import shorten, write_png
from tfrecords_tools.foundation.files import AnyPath

_GAP, _HEADER, _MARGIN = 2, 18, 44
REAL, SYNTHETIC = "real", "synth."
_MIN_CELL = 64


def write_grid(path: AnyPath, columns: Sequence[np.ndarray], names: Sequence[str], row_names: Sequence[str]) -> None:
    """Writes a grid atomically.

    Arguments:
      path: of the PNG.
      columns: uint8 images `[rows, H, W, 3]`; columns may differ in length.
      names: of the columns, such as classes.
      row_names: of the rows.
    """
    side = columns[0].shape[1]
    scale = max(1, -(-_MIN_CELL // side))
    cell = side * scale
    rows = max(len(column) for column in columns)
    size = (_MARGIN + len(columns) * (cell + _GAP), _HEADER + rows * (cell + _GAP))
    canvas = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(11)
    for number, (column, name) in enumerate(zip(columns, names, strict=True)):
        left = _MARGIN + number * (cell + _GAP)
        draw.text((left + 2, 2), shorten(name, cell - 4, draw, font), "black", font)
        for row, image in enumerate(column):
            tile = Image.fromarray(image).resize((cell, cell), Image.Resampling.NEAREST)
            canvas.paste(tile, (left, _HEADER + row * (cell + _GAP)))
    for row, name in enumerate(row_names[:rows]):
        text = shorten(name, _MARGIN - 4, draw, font)
        draw.text((2, _HEADER + row * (cell + _GAP) + cell // 2 - 6), text, "black", font)
    write_png(path, canvas)
