"""What train_gan writes beside checkpoints and metrics: grids of samples, and the report."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from melgan.sampling import sample_images
from pipelines import stage
from pipelines.diversity_watch import DiversityWatch
from pipelines.evaluation_watch import EvaluationWatch
from pipelines.grids import REAL, SYNTHETIC, write_grid
from pipelines.inputs import Shards
from pipelines.metrics_file import read_metrics
from tfrecords_tools.manifest import ShardEntry

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


def training_facts(shards: Shards, entries: Sequence[ShardEntry]) -> dict:
    """Returns which images a generator was trained on, for its report."""
    return {
        "classes": shards.manifest.classes,
        "class_counts": shards.class_counts(tuple(entries)),
        "trained_on": shards_used(shards, entries),
    }


def shards_used(shards: Shards, entries: Sequence[ShardEntry]) -> dict:
    """Returns what tells later whether an image was in some of the shards."""
    manifest = shards.manifest
    return {
        "source_fingerprint": manifest.source_fingerprint,
        "shards_digest": stage.digest(shards.folder),
        "folds_fingerprint": manifest.folds_fingerprint,
        "shards": [shard.file for shard in entries],
        "indices": [shard.index for shard in entries],
    }


def last_metrics(folder: Path, series: str) -> dict[str, float]:
    """Returns the figures of a series' last line in metrics.jsonl, none if it has no line."""
    lines = [line for line in read_metrics(folder) if line["series"] == series]
    return {name: value for name, value in lines[-1].items() if name not in ("series", "step")} if lines else {}
