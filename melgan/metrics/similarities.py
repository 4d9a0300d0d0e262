"""What kernel distance and neighbourhood metrics need of two sets of vectors, from one pass over their products."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from melgan.metrics.neighbours import blocks, squared_distances, squared_norms


@dataclass(frozen=True)
class Similarities:
    """Sums of a kernel, and neighbourhoods, of judged `[N, F]` and reference vectors `[M, F]`.

    `judged_sums`, `reference_sums` and `cross_sums` are sums of the kernel over pairs of parts `[G, G]`, without those
    of a vector with itself. `within_reference` tells whether a judged vector `[N]` lies in the neighbourhood of a
    reference vector, a ball as large as the distance to its k-th neighbour in its own set, and `balls_around` in how
    many; `within_judged` the other way round `[M]`; `covered` whether the nearest judged vector lies in a reference
    vector's own ball `[M]`.
    """

    judged_sums: np.ndarray
    reference_sums: np.ndarray
    cross_sums: np.ndarray
    within_reference: np.ndarray
    balls_around: np.ndarray
    within_judged: np.ndarray
    covered: np.ndarray


def cubic_kernel(products: np.ndarray, length: int) -> np.ndarray:
    """Returns (x.y / F + 1)^3 of scalar products `[N, M]` of vectors of a length F. Binkowski et al. 2018, eq. 4."""
    base = products / length
    base += 1.0
    return base * base * base


def compare(
    judged: np.ndarray,
    reference: np.ndarray,
    *,
    nearest: int,
    judged_parts: np.ndarray | None = None,
    reference_parts: np.ndarray | None = None,
) -> Similarities:
    """Returns the similarities of two sets of vectors, computed in float64.

    Arguments:
      judged: `[N, F]`.
      reference: `[M, F]`.
      nearest: which neighbour is the last in a ball; less than N and M.
      judged_parts: number of the part of every judged vector `[N]`, from 0; all are one part by default.
      reference_parts: the same of the reference vectors `[M]`.
    """
    judged, reference = np.asarray(judged, np.float64), np.asarray(reference, np.float64)
    of_judged, of_reference = _one_hot(judged_parts, len(judged)), _one_hot(reference_parts, len(reference))
    judged_sums, judged_radii = _within(judged, of_judged, nearest)
    reference_sums, reference_radii = _within(reference, of_reference, nearest)
    cross_sums = np.zeros((of_judged.shape[1], of_reference.shape[1]))
    balls_around = np.zeros(len(judged), np.int64)
    within_judged, covered = np.zeros((2, len(reference)), bool)
    for rows, columns, products, squared in _pairs(judged, reference):
        cross_sums += of_judged[rows].T @ cubic_kernel(products, judged.shape[1]) @ of_reference[columns]
        in_reference_ball = squared <= reference_radii[columns]
        balls_around[rows] += in_reference_ball.sum(axis=1)
        covered[columns] |= in_reference_ball.any(axis=0)
        within_judged[columns] |= (squared <= judged_radii[rows][:, None]).any(axis=0)
    return Similarities(judged_sums, reference_sums, cross_sums, balls_around > 0, balls_around, within_judged, covered)


def _within(vectors: np.ndarray, of_part: np.ndarray, nearest: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the kernel's sums between parts `[G, G]`, and the squared distance to the k-th neighbour `[N]`.

    A block and its mirror image are computed once.
    """
    sums = np.zeros((of_part.shape[1], of_part.shape[1]))
    closest = np.full((len(vectors), nearest), np.inf)
    for rows, columns, products, squared in _pairs(vectors, vectors, upper=True):
        kernel = cubic_kernel(products, vectors.shape[1])
        if rows == columns:
            np.fill_diagonal(kernel, 0.0)
            np.fill_diagonal(squared, np.inf)
        own = of_part[rows].T @ kernel @ of_part[columns]
        sums += own if rows == columns else own + own.T
        closest[rows] = _smallest(closest[rows], squared, nearest)
        if rows != columns:
            closest[columns] = _smallest(closest[columns], squared.T, nearest)
    return sums, closest.max(axis=1)


def _pairs(
    first: np.ndarray, second: np.ndarray, upper: bool = False
) -> Iterator[tuple[slice, slice, np.ndarray, np.ndarray]]:
    """Yields rows, columns, scalar products and squared distances of every block, or of the upper ones."""
    first_norms, second_norms = squared_norms(first), squared_norms(second)
    for rows in blocks(len(first)):
        for columns in blocks(len(second)):
            if upper and columns.start < rows.start:
                continue
            products = first[rows] @ second[columns].T
            yield rows, columns, products, squared_distances(products, first_norms[rows], second_norms[columns])


def _smallest(known: np.ndarray, more: np.ndarray, count: int) -> np.ndarray:
    """Returns the `count` smallest of each row of two tables."""
    if more.shape[1] > count:
        more = np.partition(more, count - 1, axis=1)[:, :count]
    return np.partition(np.concatenate([known, more], axis=1), count - 1, axis=1)[:, :count]


def _one_hot(parts: np.ndarray | None, count: int) -> np.ndarray:
    return np.ones((count, 1)) if parts is None else np.eye(parts.max() + 1)[parts]
