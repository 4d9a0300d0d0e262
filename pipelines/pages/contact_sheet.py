"""A contact sheet: images in rows with captions, in sections with titles, as one PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipelines.pages.drawing import font, shorten, write_png
from tfrecords_tools.boxes import Box

TILE = 128
_GAP, _MARGIN, _CAPTION, _TITLE = 8, 16, 20, 30
_FEWEST_COLUMNS, _MOST_COLUMNS = 4, 16
_BACKGROUND, _INK, _FAINT, _DAMAGED, _BOX, _OUTLINE = "white", "black", "#666666", "#f4d6d6", "#0050ff", "#00c040"


@dataclass(frozen=True)
class Tile:
    """An image, uint8 `[H, W, 3]`, with its caption; None stands for one that does not decode.

    `boxes` are drawn on it: x_min, y_min, x_max, y_max as fractions of its sides, and so is the outline of `mask`, bool
    `[H, W]`.
    """

    image: np.ndarray | None
    caption: str
    boxes: tuple[Box, ...] = ()
    mask: np.ndarray | None = None


@dataclass(frozen=True)
class Section:
    """Tiles under a title."""

    title: str
    tiles: tuple[Tile, ...]


def write_contact_sheet(path: Path, sections: Sequence[Section]) -> None:
    """Writes a PNG atomically: tiles of `TILE` pixels, small images enlarged by whole factors."""
    columns = _columns(max(len(section.tiles) for section in sections))
    width = 2 * _MARGIN + columns * (TILE + _GAP) - _GAP
    heights = [_TITLE + -(-len(section.tiles) // columns) * (TILE + _CAPTION + _GAP) for section in sections]
    canvas = Image.new("RGB", (width, 2 * _MARGIN + sum(heights)), _BACKGROUND)
    top = _MARGIN
    for section, height in zip(sections, heights, strict=True):
        _draw_section(canvas, section, top, columns)
        top += height
    write_png(path, canvas)


def _columns(tiles: int) -> int:
    return min(max(round(tiles**0.5), _FEWEST_COLUMNS), _MOST_COLUMNS)


def _draw_section(canvas: Image.Image, section: Section, top: int, columns: int) -> None:
    draw, title_font, letters = ImageDraw.Draw(canvas), font(14), font(11)
    title = shorten(section.title, canvas.width - 2 * _MARGIN, draw, title_font)
    draw.text((_MARGIN, top + 2), title, _INK, title_font)
    for number, tile in enumerate(section.tiles):
        row, column = divmod(number, columns)
        left = _MARGIN + column * (TILE + _GAP)
        upper = top + _TITLE + row * (TILE + _CAPTION + _GAP)
        if tile.image is None:
            draw.rectangle((left, upper, left + TILE - 1, upper + TILE - 1), _DAMAGED)
            draw.text((left + TILE / 2, upper + TILE / 2), "does not decode", _INK, letters, anchor="mm")
        else:
            fitted = _fit(Image.fromarray(tile.image))
            if tile.mask is not None:
                _draw_outline(fitted, tile.mask)
            _draw_boxes(fitted, tile.boxes)
            canvas.paste(fitted, (left + (TILE - fitted.width) // 2, upper + (TILE - fitted.height) // 2))
        caption = shorten(tile.caption, TILE, draw, letters)
        draw.text((left + TILE / 2, upper + TILE + 3), caption, _FAINT, letters, anchor="ma")


def _draw_outline(image: Image.Image, mask: np.ndarray) -> None:
    lesion = np.pad(np.asarray(Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST)), 1)
    neighbours = np.stack([np.roll(lesion, shift, axis) for axis in (0, 1) for shift in (-1, 1)])
    for edge, colour in ((lesion & ~neighbours.all(axis=0), _OUTLINE), (~lesion & neighbours.any(axis=0), _BACKGROUND)):
        image.paste(colour, mask=Image.fromarray(edge[1:-1, 1:-1]))


def _draw_boxes(image: Image.Image, boxes: Sequence[Box]) -> None:
    draw, (width, height) = ImageDraw.Draw(image), image.size
    for x_min, y_min, x_max, y_max in boxes:
        draw.rectangle((x_min * width, y_min * height, x_max * width - 1, y_max * height - 1), outline=_BOX)
        draw.rectangle((x_min * width - 1, y_min * height - 1, x_max * width, y_max * height), outline=_BACKGROUND)


def _fit(image: Image.Image) -> Image.Image:
    longest = max(image.size)
    if longest > TILE:
        size = (max(1, round(image.width * TILE / longest)), max(1, round(image.height * TILE / longest)))
        return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    factor = TILE // longest
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
