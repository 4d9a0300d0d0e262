"""Helpers of pictures made with Pillow: text that fits, and a file that is whole."""

import io

from PIL import Image, ImageDraw, ImageFont

from tfrecords_tools.foundation.files import AnyPath, write_atomically


def shorten(text: str, width: int, draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont) -> str:
    """Returns the text, with an ellipsis in its middle if it is wider than `width` pixels."""
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
