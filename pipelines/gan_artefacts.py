"""What train_gan writes beside checkpoints and metrics: grids of samples, and the report."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from melgan.sampling import sample_images
from pipelines import stage
from pipelines.grids import write_grid
from pipelines.inputs import Shards, first_images
from pipelines.metrics_file import read_metrics
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import ShardSet

_GRID_ROWS = 8


def samples_file(folder: Path, step: int) -> Path:
    """Returns the path of the grid of a step."""
    return folder / "samples" / f"{step:07d}.png"


def write_samples(path: Path, generator: keras.Model, data: ShardSet, classes: Sequence[str], seed: int) -> None:
    """Writes a grid with a column a class: a real image, and fakes of the same latents at every call."""
    size = generator.output_shape[1]
    columns = []
    for label, real in enumerate(first_images(data, len(classes), size)):
        fakes = sample_images(generator, [label] * _GRID_ROWS, seed)
        columns.append(np.concatenate([real, np.stack(list(fakes))]))
    path.parent.mkdir(exist_ok=True)
    write_grid(path, columns, classes)


def training_facts(shards: Shards, entries: Sequence[ShardEntry]) -> dict:
    """Returns which images a generator was trained on, for its report."""
    manifest = shards.manifest
    return {
        "classes": manifest.classes,
        "class_counts": shards.class_counts(tuple(entries)),
        "trained_on": {
            "shards_digest": stage.digest(shards.folder),
            "folds_fingerprint": manifest.folds_fingerprint,
            "shards": [shard.file for shard in entries],
            "indices": [shard.index for shard in entries],
        },
    }


def last_metrics(folder: Path, series: str) -> dict[str, float]:
    """Returns the figures of a series' last line in metrics.jsonl, none if it has no line."""
    lines = [line for line in read_metrics(folder) if line["series"] == series]
    return {name: value for name, value in lines[-1].items() if name not in ("series", "step")} if lines else {}
