"""The work at every checkpoint of a GAN: its diversity, its evaluation, and a grid of samples."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from melgan.sampling import Sampler, first_requests
from pipelines.pages.grids import GRID_ROWS, REAL, SYNTHETIC, Column, write_grid
from pipelines.watches.diversity import DiversityWatch
from pipelines.watches.evaluation import EvaluationWatch


class CheckpointWatch:
    """Writes what comes with every checkpoint of a GAN.

    Arguments:
      folder: of the run.
      sampler: of the generator in training.
      real_images: uint8 `[N, H, W, 3]` of each class, at least one.
      diversity: measures the diversity.
      evaluation: evaluates by metrics, where that is wanted.
      is_evaluated: whether it does so at a step.
    """

    def __init__(
        self,
        folder: Path,
        sampler: Sampler,
        real_images: Sequence[np.ndarray],
        diversity: DiversityWatch,
        *,
        evaluation: EvaluationWatch | None,
        is_evaluated: Callable[[int], bool],
    ) -> None:
        self._folder, self._sampler, self._real_images = folder, sampler, real_images
        self._diversity, self._evaluation, self._is_evaluated = diversity, evaluation, is_evaluated

    def is_written(self, step: int) -> bool:
        """Returns whether a checkpoint has all of it."""
        return self._grid_file(step).is_file()

    def write(self, step: int) -> None:
        """Measures the generator of a step and draws its grid, last, as its file tells that all is written."""
        self._diversity.measure(step)
        if self._evaluation is not None and self._is_evaluated(step):
            self._evaluation.evaluate(step)
        columns = []
        for label, (name, real) in enumerate(zip(self._sampler.classes, self._real_images, strict=True)):
            fakes = self._sampler.draw(first_requests(label, GRID_ROWS)).images
            columns.append(Column(name, np.concatenate([real[:1], fakes])))
        self._grid_file(step).parent.mkdir(exist_ok=True)
        write_grid(self._grid_file(step), columns, [REAL] + [SYNTHETIC] * GRID_ROWS, across=True)

    def _grid_file(self, step: int) -> Path:
        return self._folder / "samples" / f"{step:07d}.png"
