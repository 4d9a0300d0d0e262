"""Pictures of images beside the same with what a network looks at, in rows, as one picture."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from pipelines.pages.drawing import font, shorten
from pipelines.pages.rasters import Raster

TILE = 160
_COLUMNS = 4
_GAP, _SPACE, _LINE = 2, 14, 15
_STRONGEST = 0.65  # of the colour over the image, where the map is 1
_COLOURS = "viridis"


@dataclass(frozen=True)
class ActivationPair:
    """An image uint8 `[S, S, 3]`, its activation map float `[S, S]` in [0, 1], and lines of text below both."""

    image: np.ndarray
    activation: np.ndarray
    lines: tuple[str, ...]


def activation_picture(pairs: Sequence[ActivationPair]) -> Raster:
    """Returns a picture of one or more images, each beside itself under the colours of its map."""
    width, lines = 2 * TILE + _GAP, max(len(pair.lines) for pair in pairs)
    height = TILE + lines * _LINE + 4
    columns, rows = min(_COLUMNS, len(pairs)), -(-len(pairs) // _COLUMNS)
    size = (columns * (width + _SPACE) - _SPACE, rows * (height + _SPACE) - _SPACE)
    canvas = Image.new("RGB", size, "white")
    draw, letters = ImageDraw.Draw(canvas), font(11)
    for number, pair in enumerate(pairs):
        row, column = divmod(number, _COLUMNS)
        left, top = column * (width + _SPACE), row * (height + _SPACE)
        canvas.paste(_tile(pair.image), (left, top))
        canvas.paste(_tile(overlaid(pair.image, pair.activation)), (left + TILE + _GAP, top))
        for line, text in enumerate(pair.lines):
            place = (left, top + TILE + 3 + line * _LINE)
            draw.text(place, shorten(text, width, draw, letters), "black", letters)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return Raster(buffer.getvalue())


def overlaid(image: np.ndarray, activation: np.ndarray) -> np.ndarray:
    """Returns an image under the colours of a map, which cover it the more, the more there is; all uint8."""
    colours = matplotlib.colormaps[_COLOURS](activation)[..., :3] * 255
    cover = _STRONGEST * activation[..., None]
    return np.rint(image * (1 - cover) + colours * cover).astype(np.uint8)


def _tile(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image).resize((TILE, TILE), Image.Resampling.BICUBIC)
