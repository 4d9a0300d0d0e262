"""Helpers of pictures made with Pillow: text that fits, and a file that is whole."""

import io
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from tfrecords_tools.foundation.files import AnyPath, write_atomically
from tfrecords_tools.foundation.texts import in_one_line


def font(size: int) -> ImageFont.FreeTypeFont:
    """Returns the font of all texts; it has accents, Greek, Cyrillic and more, which Pillow's own lacks."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def shorten(text: str, width: int, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont) -> str:
    """Returns the text as one line, with an ellipsis in its middle if it is wider than `width` pixels."""
    text = in_one_line(text)
    kept = len(text)
    short = text
    while kept > 2 and draw.textlength(short, font) > width:
        kept -= 1
        short = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
    return short


def write_png(path: AnyPath, canvas: Image.Image) -> None:
    """Writes an image as PNG, so that a reader sees all of it or none."""
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
