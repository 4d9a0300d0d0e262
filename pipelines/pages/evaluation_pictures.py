"""Pictures of an evaluation: real beside synthetic, suspicious images, an embedding, steps between two images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from melgan.metrics.dihedral import views_of
from melgan.metrics.samples import Samples
from melgan.sampling import Sampler
from pipelines.pages.grids import GRID_ROWS, REAL, SYNTHETIC, Column, column_of_class, write_grid
from tfrecords_tools.csv_tables import read_table, write_table

GRID, SUSPICIOUS, EMBEDDING, INTERPOLATIONS = "real_and_synthetic.png", "suspicious.png", "embedding.csv", "steps.png"
_STEPS = 9
_EMBEDDED_PER_SIDE = 1000
_EMBEDDED_COMPONENTS = 50


def write_real_and_synthetic(folder: Path, real: Samples, synthetic: Samples, classes: Sequence[str]) -> None:
    """Writes the first images of each class: real ones, and below them synthetic ones."""
    columns = [
        column_of_class(title, side.images, side.labels, label)
        for label, name in enumerate(classes)
        for side, title in ((real, f"{name}, {REAL}"), (synthetic, SYNTHETIC))
    ]
    write_grid(folder / GRID, columns, across=True)


def write_most_suspicious(folder: Path, synthetic: Samples, training: Samples, nearest: pd.DataFrame) -> None:
    """Writes the synthetic images nearest to a training image, for the threshold of their class, beside it.

    Every space has as many rows. A training image is shown once, beside its nearest. It is turned and mirrored as the
    synthetic one lay nearest. Rows are named by the distance over the threshold.

    Arguments:
      folder: of the picture.
      synthetic: images.
      training: images.
      nearest: of `nearest_table`.
    """
    own, theirs, names = [], [], []
    per_space = GRID_ROWS // nearest["space"].nunique()
    for space, table in nearest.groupby("space", sort=False):
        for pair in table.drop_duplicates("training_row").head(per_space).itertuples():
            own.append(list(views_of(synthetic.images[pair.row][None]))[pair.view][0])
            theirs.append(training.images[pair.training_row])
            names.append(f"{pair.ratio:.2f} {space[0]}.")
    columns = [Column(SYNTHETIC, np.stack(own)), Column("training", np.stack(theirs))]
    write_grid(folder / SUSPICIOUS, columns, names, across=True)


def write_embedding(folder: Path, real: Samples, synthetic: Samples, classes: Sequence[str], seed: int) -> None:
    """Writes a plane in which neighbours in feature space stay neighbours: t-SNE, van der Maaten and Hinton 2008."""
    sides = {"real": real, "synthetic": synthetic}
    tables, features = [], []
    for what, side in sides.items():
        rows = np.random.default_rng(seed).permutation(len(side))[:_EMBEDDED_PER_SIDE]
        features.append(side.features[rows])
        tables.append(pd.DataFrame({"images": what, "class": np.asarray(classes)[side.labels[rows]]}))
    table, vectors = pd.concat(tables, ignore_index=True), np.nan_to_num(np.concatenate(features).astype(np.float64))
    components = min(_EMBEDDED_COMPONENTS, *vectors.shape)
    vectors = PCA(components, random_state=seed).fit_transform(vectors)
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors)
    table[["x", "y"]] = plane.round(3)
    write_table(folder / EMBEDDING, table)


def read_embedding(folder: Path) -> pd.DataFrame:
    """Returns the rows that `write_embedding` wrote: `images`, `class`, `x` and `y`."""
    return read_table(folder / EMBEDDING, ["images", "class"])


def write_interpolations(folder: Path, sampler: Sampler) -> None:
    """Writes a row for each class: the way from one image to another in equal steps of the latents.

    Nothing, for a sampler without latents.
    """
    rows = [sampler.interpolate(label, _STEPS) for label in range(len(sampler.classes))]
    if any(row is None for row in rows):
        return
    columns = [Column(f"{step / (_STEPS - 1):.3g}", np.stack([row[step] for row in rows])) for step in range(_STEPS)]
    write_grid(folder / INTERPOLATIONS, columns, sampler.classes)
