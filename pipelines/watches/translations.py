"""The work at every checkpoint of a translator: a grid of sources and of what became of them."""

from pathlib import Path

import numpy as np

from melgan.sampling import Sampler, first_requests
from melgan.sources import Sources
from pipelines.pages.grids import GRID_ROWS, Column, write_grid


class TranslationWatch:
    """Writes samples/<step>.png: columns of real images and, beside them, of translated ones.

    Arguments:
      folder: of the run.
      sampler: of the generator in training, with `sources`.
      sources: the real images that it shows.
      labels: classes that it draws.
    """

    def __init__(self, folder: Path, sampler: Sampler, sources: Sources, labels: tuple[int, ...]) -> None:
        self._folder, self._sampler, self._sources, self._labels = folder, sampler, sources, labels

    def is_written(self, step: int) -> bool:
        """Returns whether a checkpoint has its grid."""
        return self._grid_file(step).is_file()

    def write(self, step: int) -> None:
        """Draws the grid of a step."""
        place_of = {name: place for place, name in enumerate(self._sources.names)}
        columns = []
        for label in self._labels:
            drawn = self._sampler.draw(first_requests(label, min(GRID_ROWS, len(self._sources.names))))
            rows = [place_of[names[0]] for names in drawn.made_from]
            columns.append(Column("real", self._sources.images[rows]))
            if drawn.masks is not None:
                columns.append(Column("mask", np.repeat(drawn.masks[..., None], 3, axis=3)))
            columns.append(Column(self._sampler.classes[label], drawn.images))
        self._grid_file(step).parent.mkdir(exist_ok=True)
        write_grid(self._grid_file(step), columns)

    def _grid_file(self, step: int) -> Path:
        return self._folder / "samples" / f"{step:07d}.png"
