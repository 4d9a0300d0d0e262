"""Kernel sums and neighbourhoods of two sets of vectors, from one pass over their products."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from melgan.metrics.neighbours import blocks, squared_distances, squared_norms


@dataclass(frozen=True)
class Neighbourhoods:
    """Which vectors lie in which neighbourhoods: balls that end at the k-th neighbour in the own set.

    Attributes:
      balls_around: in how many reference vectors' balls an evaluated vector lies, `[N]`.
      within_evaluated: whether a reference vector lies in the ball of an evaluated one, `[M]`.
      covered: whether an evaluated vector lies in a reference vector's own ball, `[M]`.
    """

    balls_around: np.ndarray
    within_evaluated: np.ndarray
    covered: np.ndarray

    @property
    def within_reference(self) -> np.ndarray:
        """True for evaluated vectors that lie in the ball of a reference vector, `[N]`."""
        return self.balls_around > 0


@dataclass(frozen=True)
class Similarities:
    """Sums of a kernel, and neighbourhoods, of evaluated `[N, F]` and reference vectors `[M, F]`.

    Attributes:
      evaluated_sums, reference_sums, cross_sums: sums of the kernel over pairs of parts `[G, G]`, without pairs of
        a vector with itself.
      neighbourhoods: of all vectors.
      left_out: of the vectors that stay when one part after another is left out on both sides; empty where all are one
        part.
    """

    evaluated_sums: np.ndarray
    reference_sums: np.ndarray
    cross_sums: np.ndarray
    neighbourhoods: Neighbourhoods
    left_out: tuple[Neighbourhoods, ...]


def cubic_kernel(products: np.ndarray, length: int) -> np.ndarray:
    """Returns (x.y / F + 1)^3 of scalar products `[N, M]` of vectors of a length F. Binkowski et al. 2018, eq. 4."""
    base = products / length
    base += 1.0
    return base * base * base


def compare(
    evaluated: np.ndarray,
    reference: np.ndarray,
    *,
    nearest: int,
    evaluated_parts: np.ndarray | None = None,
    reference_parts: np.ndarray | None = None,
) -> Similarities:
    """Returns the similarities of two sets of vectors, computed in float64.

    Arguments:
      evaluated: `[N, F]`.
      reference: `[M, F]`.
      nearest: which neighbour is the last in a ball; less than N and M.
      evaluated_parts: number of the part of every evaluated vector `[N]`, from 0; all are one part by default.
      reference_parts: the same of the reference vectors `[M]`.
    """
    evaluated, reference = np.asarray(evaluated, np.float64), np.asarray(reference, np.float64)
    of_evaluated, of_reference = _one_hot(evaluated_parts, len(evaluated)), _one_hot(reference_parts, len(reference))
    evaluated_sums, evaluated_radii = _within(evaluated, of_evaluated, nearest)
    reference_sums, reference_radii = _within(reference, of_reference, nearest)
    cross_sums = np.zeros((of_evaluated.shape[1], of_reference.shape[1]))
    balls_around = np.zeros((len(evaluated_radii), len(evaluated)), np.int64)
    within_evaluated, covered = np.zeros((2, len(evaluated_radii), len(reference)), bool)
    for rows, columns, products, squared in _pairs(evaluated, reference):
        cross_sums += of_evaluated[rows].T @ cubic_kernel(products, evaluated.shape[1]) @ of_reference[columns]
        for selection, (own_radii, other_radii) in enumerate(zip(evaluated_radii, reference_radii, strict=True)):
            stay = own_radii[rows] >= 0
            in_reference_ball = (squared <= other_radii[columns]) & stay[:, None]
            balls_around[selection, rows] += in_reference_ball.sum(axis=1)
            covered[selection, columns] |= in_reference_ball.any(axis=0)
            within_evaluated[selection, columns] |= (squared <= own_radii[rows][:, None]).any(axis=0)
    neighbourhoods, *left_out = [
        Neighbourhoods(
            balls_around[selection, own_radii >= 0],
            within_evaluated[selection, other_radii >= 0],
            covered[selection, other_radii >= 0],
        )
        for selection, (own_radii, other_radii) in enumerate(zip(evaluated_radii, reference_radii, strict=True))
    ]
    return Similarities(evaluated_sums, reference_sums, cross_sums, neighbourhoods, tuple(left_out))


def _within(vectors: np.ndarray, of_part: np.ndarray, nearest: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the kernel's sums between parts `[G, G]`, and squared radii: of all, and with each part left out.

    A block and its mirror image are computed once.
    """
    sums = np.zeros((of_part.shape[1], of_part.shape[1]))
    closest = np.full((of_part.shape[1], len(vectors), nearest), np.inf)
    members = of_part.astype(bool).T
    for rows, columns, products, squared in _pairs(vectors, vectors, upper=True):
        kernel = cubic_kernel(products, vectors.shape[1])
        if rows == columns:
            np.fill_diagonal(kernel, 0.0)
            np.fill_diagonal(squared, np.inf)
        own = of_part[rows].T @ kernel @ of_part[columns]
        sums += own if rows == columns else own + own.T
        for known, member in zip(closest, members, strict=True):
            known[rows] = _smallest(known[rows], squared[:, member[columns]], nearest)
            if rows != columns:
                known[columns] = _smallest(known[columns], squared[member[rows]].T, nearest)
    return sums, _radii(closest, members)


def _radii(closest: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Returns squared radii `[1 + G, N]` of balls: of all vectors, and with one part after another left out.

    Those of the part that is left out are negative, so that nothing lies in them. A single part is not left out.

    Arguments:
      closest: squared distances to the nearest vectors of each part `[G, N, k]`.
      members: which vectors are in each part `[G, N]`.
    """
    count, nearest = closest.shape[1:]
    radii = []
    for left_out in [None, *range(len(closest))] if len(closest) > 1 else [None]:
        stay = closest if left_out is None else np.delete(closest, left_out, axis=0)
        distances = np.moveaxis(stay, 0, 1).reshape(count, -1)
        own = np.partition(distances, nearest - 1, axis=1)[:, nearest - 1]
        radii.append(own if left_out is None else np.where(members[left_out], -1.0, own))
    return np.stack(radii)


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
