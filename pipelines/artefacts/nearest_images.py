"""The nearest training image of every synthetic image, as a table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from melgan.metrics.comparison import Comparison
from melgan.metrics.memorisation import copies_of_class

# Row numbers of both images and the view in which they lay nearest: for pictures, not for readers.
ROW_COLUMNS = ["row", "training_row", "view"]


def nearest_table(comparison: Comparison, classes: Sequence[str], spaces: Sequence[str]) -> pd.DataFrame:
    """Returns a row for every synthetic image and space, the most suspicious first.

    Its columns are `space`, `class`, `image`, `nearest_training_image`, `distance`, the `threshold` of the class below
    which an image is `suspicious`, and their `ratio`; and `ROW_COLUMNS`. Classes of which no image was held
    out have no threshold and are left out.
    """
    tables = []
    for space in spaces:
        for label in np.intersect1d(comparison.evaluated.labels, comparison.reference.labels):
            copies = copies_of_class(comparison, label, space)
            rows, near = np.flatnonzero(comparison.evaluated.labels == label), copies.near
            columns = {
                "space": space,
                "class": classes[label],
                "image": comparison.evaluated.names[rows],
                "nearest_training_image": comparison.training.names[near.rows],
                "distance": near.distances,
                "threshold": copies.thresholds,
                "ratio": near.distances / np.maximum(copies.thresholds, 1e-12),
                "suspicious": copies.found,
                "row": rows,
                "training_row": near.rows,
                "view": near.views,
            }
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True).sort_values("ratio", kind="stable", ignore_index=True)
