"""Artefacts of every checkpoint of a GAN: its diversity, its evaluation, and a grid of samples."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from melgan.sampling import sample_images
from pipelines.pages.grids import REAL, SYNTHETIC, write_grid
from pipelines.watches.diversity import DiversityWatch
from pipelines.watches.evaluation import EvaluationWatch

_GRID_ROWS = 8


class CheckpointArtefacts:
    """What comes with every checkpoint of a GAN: a line of metrics on its diversity, and a grid of samples.

    Arguments:
      folder: of the run.
      classes: names of the classes.
      real_images: uint8 `[N, H, W, 3]` of each class, at least one.
      watch: what judges the diversity.
      evaluation: what judges by metrics, where that is wanted.
      evaluated: whether it does so at a step.
      seed: of the latents, the same at every checkpoint.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        real_images: Sequence[np.ndarray],
        watch: DiversityWatch,
        *,
        evaluation: EvaluationWatch | None,
        evaluated: Callable[[int], bool],
        seed: int,
    ) -> None:
        self._folder, self._classes, self._real_images, self._seed = folder, classes, real_images, seed
        self._watch, self._evaluation, self._evaluated = watch, evaluation, evaluated

    def are_written(self, step: int) -> bool:
        """Returns whether a checkpoint has all of it."""
        return self._grid_file(step).is_file()

    def write(self, generator: keras.Model, step: int) -> None:
        """Judges the generator of a step and draws its grid, last, as its file tells that all is written."""
        self._watch.judge(generator, step)
        if self._evaluation is not None and self._evaluated(step):
            self._evaluation.judge(generator, step)
        columns = []
        for label, real in enumerate(self._real_images):
            fakes = sample_images(generator, [label] * _GRID_ROWS, self._seed)
            columns.append(np.concatenate([real[:1], np.stack(list(fakes))]))
        self._grid_file(step).parent.mkdir(exist_ok=True)
        write_grid(self._grid_file(step), columns, self._classes, [REAL] + [SYNTHETIC] * _GRID_ROWS)

    def _grid_file(self, step: int) -> Path:
        return self._folder / "samples" / f"{step:07d}.png"
