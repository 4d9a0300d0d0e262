"""Products and distances between two sets of vectors, in blocks: memory grows with the sets, not with their product."""

from collections.abc import Iterator

import numpy as np

BLOCK = 1024


def blocks(count: int) -> Iterator[slice]:
    """Yields slices that cover `count` rows."""
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))


def squared_norms(vectors: np.ndarray) -> np.ndarray:
    """Returns the squared lengths `[N]` of vectors `[N, F]`."""
    return np.einsum("nf,nf->n", vectors, vectors)


def squared_distances(products: np.ndarray, row_norms: np.ndarray, column_norms: np.ndarray) -> np.ndarray:
    """Returns squared distances `[N, M]` from scalar products `[N, M]` and squared lengths `[N]` and `[M]`."""
    distances = products * -2.0
    distances += row_norms[:, None]
    distances += column_norms[None, :]
    return np.maximum(distances, 0.0, out=distances)  # rounding may leave a little less


def nearest(queries: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the row `[N]` of the point nearest to every query, and its Euclidean distance `[N]`.

    Arguments:
      queries: `[N, F]`.
      points: `[M, F]`, at least one.
    """
    points = np.asarray(points, np.float64)
    point_norms = squared_norms(points)
    found, distance = np.zeros(len(queries), np.int64), np.full(len(queries), np.inf)
    for rows in blocks(len(queries)):
        block = np.asarray(queries[rows], np.float64)  # not all at once: there may be eight views of every image
        block_norms = squared_norms(block)
        for columns in blocks(len(points)):
            squared = squared_distances(block @ points[columns].T, block_norms, point_norms[columns])
            best = squared.argmin(axis=1)
            values = squared[np.arange(len(best)), best]
            nearer = values < distance[rows]
            found[rows] = np.where(nearer, best + columns.start, found[rows])
            distance[rows] = np.where(nearer, values, distance[rows])
    return found, np.sqrt(distance)
