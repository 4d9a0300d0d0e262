"""Pictures of pixels in a page, such as grids of images."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from pipelines.pages.charts import PIXELS_PER_INCH, Chart
from tfrecords_tools.foundation.files import AnyPath, read_bytes


@dataclass(frozen=True)
class Raster:
    """A picture of pixels, as the bytes of a PNG file."""

    png: bytes

    @property
    def width(self) -> int:
        """Its width in pixels."""
        return Image.open(io.BytesIO(self.png)).width

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()

    def file(self, kind: str) -> bytes:
        """Returns the picture inside a file of vectors, its pixels as they are; `kind`: of FIGURE_FORMATS."""
        pixels = np.asarray(Image.open(io.BytesIO(self.png)).convert("RGB"))
        height, width, _ = pixels.shape
        figure = Figure(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.imshow(pixels, interpolation="none", aspect="auto")
        return Chart(figure).file(kind)


def read_raster(path: AnyPath) -> Raster:
    """Returns the picture of a PNG file."""
    return Raster(read_bytes(path))
