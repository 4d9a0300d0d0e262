"""Rows -> shards: stratified, with patients and groups of duplicates whole; folds are sets of whole shards.

The same tables give the same shards on every machine: the sums that decide are sums of integers, so that no order of
summation can change them.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from tfrecords_tools.foundation.errors import DataError

FOLDS_VERSION = 2  # raised whenever `assign_shards` deals the same rows otherwise

_COST_LIMIT = 2**49  # sums of 16 such terms are exact in float64, of 16,384 in int64
_EXCHANGE_CANDIDATES = 200  # groups of a shard that a trial looks at
_EXCHANGE_TRIALS = 20_000  # pairs of shards; 15 shards need some hundreds
_RANKS_APART = 1  # of groups of about equal size
_SIZE_STEPS = 200  # at most so many counts of groups up to a size
_SIZE_PARTS = (1, 4, 16, 64, 256, 1024)  # by which the weights of these counts are divided, one after the other


def fold_shards(num_shards: int, num_folds: int, fold: int) -> tuple[int, ...]:
    """Returns the shards of a fold: every `num_folds`-th shard, so that all folds are equally large.

    Raises:
      DataError: if there are more folds than shards, or the fold is not one of them.
    """
    if not 2 <= num_folds <= num_shards:
        raise DataError(f"num_folds is {num_folds}: with {num_shards} shards choose 2 to {num_shards}")
    if not 0 <= fold < num_folds:
        raise DataError(f"fold {fold} does not exist: the {num_folds} folds are 0 to {num_folds - 1}")
    return tuple(range(fold, num_shards, num_folds))


def group_rows(keys: Sequence[np.ndarray | pd.Series]) -> np.ndarray:
    """Returns a group code for every row `[N]`, numbered by first appearance: rows linked by any key share a code.

    Links add up: if rows 1 and 2 are one patient, and rows 2 and 3 are duplicates, then all three are one group.

    Arguments:
      keys: one or more columns `[N]`, such as patients, lesions and codes of duplicates. A missing value (as
        `pandas.isna` sees it: None, NaN, NA) links its row to no other; every number, -1 too, is a value.
    """
    groups = np.arange(len(keys[0]))
    for key in keys:
        groups = _link(groups, pd.factorize(key)[0])
    return pd.factorize(groups)[0].astype(np.int64, copy=False)


def assign_shards(
    groups: np.ndarray, targets: np.ndarray, num_shards: int, seed: int, *, sources: np.ndarray | None = None
) -> np.ndarray:
    """Returns the shard of every row `[N]`, balancing classes, rows, groups and the sizes of groups at once.

    The balanced quantities are the rows of each class, all rows, the groups, and those of at most 1, 2, 3 ... rows;
    with several sources also the rows of each, and of each class in it. The cost is the sum of the squared relative
    deviations from an even split. Groups are dealt greedily, the weightiest first, each to the shard where it costs
    least; then pairs of shards exchange groups as long as that lowers the cost. Once sizes are even they weigh little,
    and shards swap groups of about equal size, two at a time: that evens out rows and classes, and leaves sizes even.

    Arguments:
      groups: group code of every row `[N]`, from 0 without gaps; a group is never split.
      targets: class index of every row `[N]`.
      num_shards: how many shards.
      seed: decides between equals, and between groups of about equal weight who is dealt first.
      sources: code of the data set that every row came from `[N]`.

    Raises:
      DataError: if there are fewer groups than shards.
    """
    num_groups = int(groups.max(initial=-1)) + 1
    if num_groups < num_shards:
        raise DataError(f"num_shards is {num_shards}, but there are only {num_groups} patients: choose fewer shards")
    rng = np.random.default_rng(seed)
    quantities, sizes, kind_of_group = _kinds(groups, targets, np.zeros_like(groups) if sources is None else sources)
    counts, kinds = np.bincount(kind_of_group), np.concatenate([quantities, sizes], axis=1)
    totals = np.append(counts @ quantities, np.full(sizes.shape[1], num_groups))
    is_size = np.arange(len(totals)) >= quantities.shape[1]
    weights = _weights(totals)
    weight_class = np.frexp((kinds**2 * weights).sum(axis=1).astype(float))[1]
    order = np.lexsort([rng.permutation(len(kinds)), -weight_class])
    hands = _deal(order, kinds, counts, weights, num_shards)
    _exchange(hands, kinds, weights, rng, _single_groups)
    for part in _SIZE_PARTS:
        _exchange(hands, kinds, _weights(totals, np.where(is_size, part, 1)), rng, _swaps_of_like_sizes)
    shard_of_slot = np.repeat(np.arange(num_shards), [len(hand) for hand in hands])
    shard_of_group = np.empty(num_groups, dtype=np.int64)
    shuffled = np.lexsort([rng.permutation(num_groups), kind_of_group])
    shard_of_group[shuffled] = shard_of_slot[np.argsort(np.concatenate(hands), kind="stable")]
    return shard_of_group[groups]


def _link(groups: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Joins groups `[N]` (codes from 0 without gaps) whose rows share a key's code `[N]`; code -1 links nothing."""
    linked = codes >= 0
    num_groups = groups.max(initial=-1) + 1
    size = num_groups + codes.max(initial=-1) + 1  # two families of nodes: groups and values of the key
    edges = (groups[linked], num_groups + codes[linked])
    graph = coo_matrix((np.ones(len(edges[0]), bool), edges), shape=(size, size))
    joined = connected_components(graph, directed=False)[1][:num_groups]
    return pd.factorize(joined)[0][groups]


def _kinds(groups: np.ndarray, targets: np.ndarray, sources: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns what each kind of group takes of the quantities to balance, and the kind of each group.

    Groups with equal counts of each class in each source are of one kind: for the balance they are interchangeable.
    Kinds are numbered by the size of their groups. The quantities are amounts `[kinds, Q]`, and, for the sizes, whether
    a group has at most so many rows `[kinds, S]`.
    """
    size_of_group = np.bincount(groups)
    classes, class_of_row = np.unique(targets, return_inverse=True)
    source_codes, source_of_row = np.unique(sources, return_inverse=True)
    strata, stratum_of_row = np.unique(class_of_row * len(source_codes) + source_of_row, return_inverse=True)
    kind_of_group = np.unique(size_of_group, return_inverse=True)[1]
    columns = []
    for stratum in range(len(strata)):
        column = np.bincount(groups[stratum_of_row == stratum], minlength=len(size_of_group))
        columns.append(column.astype(np.int32))
        kind_of_group = np.unique(kind_of_group * (column.max() + 1) + column, return_inverse=True)[1]
    first_of_kind = np.unique(kind_of_group, return_index=True)[1]
    rows = np.stack([column[first_of_kind] for column in columns], axis=1).astype(np.int64)
    sizes = rows.sum(axis=1)
    by_source = [rows, _sum_by(rows, strata % len(source_codes))] if len(source_codes) > 1 else []
    amounts = [_sum_by(rows, strata // len(source_codes)), *by_source, sizes[:, None], np.ones((len(sizes), 1))]
    of_size = sizes[:, None] <= _size_steps(size_of_group)
    return np.concatenate(amounts, axis=1).astype(np.int64), of_size.astype(np.int64), kind_of_group


def _size_steps(sizes: np.ndarray) -> np.ndarray:
    """Returns the sizes of groups but the largest; of very many, some with about equally many groups between them."""
    steps = np.unique(sizes)[:-1]
    if len(steps) <= _SIZE_STEPS:
        return steps
    return np.unique(np.sort(sizes)[np.arange(_SIZE_STEPS) * len(sizes) // _SIZE_STEPS])


def _sum_by(columns: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the sums over columns with equal labels, in the order of the labels."""
    return np.stack([columns[:, labels == label].sum(axis=1) for label in np.unique(labels)], axis=1)


def _weights(totals: np.ndarray, parts: np.ndarray | int = 1) -> np.ndarray:
    """Returns whole numbers by which squared amounts cost about the same for every quantity, relative to its total.

    Quantities may weigh less, the n-th part. Groups up to a size count relative to all groups, as in a distribution.
    """
    return np.maximum(_COST_LIMIT // (len(totals) * totals**2 * parts), 1)


def _deal(
    order: np.ndarray, kinds: np.ndarray, counts: np.ndarray, weights: np.ndarray, num_shards: int
) -> list[np.ndarray]:
    """Deals the groups, kind by kind; returns the kinds `[groups]` that each shard got.

    A group goes to the shard whose cost it raises least: the one with the lowest sum of weights * load * kind, which
    then rises by the same step for every group of a kind. So a kind is dealt at once, like water that finds its level.
    """
    load = np.zeros((num_shards, kinds.shape[1]), dtype=np.int64)
    shard_of_slot = []
    for kind in order:
        heights = (load * (weights * kinds[kind])).sum(axis=1)
        dealt = _fill(heights, int((weights * kinds[kind] ** 2).sum()), int(counts[kind]))
        load += dealt[:, None] * kinds[kind]
        shard_of_slot.append(np.repeat(np.arange(num_shards), dealt))
    shards = np.concatenate(shard_of_slot)
    dealt_kinds = np.repeat(order, counts[order])[np.argsort(shards, kind="stable")]
    return np.split(dealt_kinds, np.cumsum(np.bincount(shards, minlength=num_shards))[:-1])


def _fill(heights: np.ndarray, step: int, count: int) -> np.ndarray:
    """Returns how many of `count` steps each place gets when every step goes to the place that is lowest then."""
    rising = np.sort(heights)
    volume = count * step + np.cumsum(rising)
    places = np.flatnonzero(volume > np.arange(1, len(rising) + 1) * rising)[-1] + 1  # those below the final level
    filled = np.maximum((volume[places - 1] - places * heights) // (places * step), 0)
    lowest = np.argsort(heights + filled * step, kind="stable")
    filled[lowest[: count - filled.sum()]] += 1
    return filled


class _Moves(NamedTuple):
    """What one shard may give another and take for it: kinds of groups `[M]`, of which the last stands for no group."""

    given: np.ndarray
    taken: np.ndarray


# (two hands, number that stands for no group, random numbers) -> moves of which one of each is made at a time
_Propose = Callable[[np.ndarray, np.ndarray, int, np.random.Generator], tuple[_Moves, _Moves]]


def _single_groups(
    first: np.ndarray, second: np.ndarray, nothing: int, rng: np.random.Generator
) -> tuple[_Moves, _Moves]:
    """Proposes to give any group or none, and to take any or none."""
    given, taken = (np.append(_some(hand, rng), nothing) for hand in (first, second))
    return _Moves(given, np.full_like(given, nothing)), _Moves(np.full_like(taken, nothing), taken)


def _swaps_of_like_sizes(
    first: np.ndarray, second: np.ndarray, nothing: int, rng: np.random.Generator
) -> tuple[_Moves, _Moves]:
    """Proposes two swaps, each of the n-th largest group and about the n-th largest, or of one group for nothing."""
    length = max(len(first), len(second)) + 1
    ranks = np.append(_some(np.arange(length), rng), length)
    shift = rng.integers(-_RANKS_APART, _RANKS_APART + 1)
    given, taken = (
        np.append(np.full(before, nothing), np.append(np.sort(hand)[::-1], np.full(2 * length, nothing)))[ranks]
        for hand, before in ((first, max(shift, 0)), (second, max(-shift, 0)))
    )
    return (_Moves(given, taken),) * 2


def _some(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if len(values) <= _EXCHANGE_CANDIDATES:
        return values
    return values[rng.permutation(len(values))[:_EXCHANGE_CANDIDATES]]


def _exchange(
    hands: list[np.ndarray], kinds: np.ndarray, weights: np.ndarray, rng: np.random.Generator, propose: _Propose
) -> None:
    """Lets pairs of shards make the moves that lower their cost most, until no pair finds any; in place.

    Arguments:
      hands: the kinds `[groups]` that each shard holds.
      kinds: amounts of each kind `[kinds, Q]`.
      weights: what a squared amount costs `[Q]`.
      rng: draws the candidates where a shard has too many groups to try all.
      propose: the moves to choose from.
    """
    nothing = len(kinds)
    amounts = np.concatenate([kinds, np.zeros_like(kinds[:1])]).astype(float)  # float64 multiplies matrices faster
    load = np.stack([amounts[hand].sum(axis=0) for hand in hands])
    idle, pairs_in_a_round = 0, len(hands) * (len(hands) // 2)
    for first, second in _pairs(len(hands)):
        proposed = propose(hands[first], hands[second], nothing, rng)
        leaving = [amounts[moves.given] - amounts[moves.taken] for moves in proposed]
        cost = _exchange_cost(*leaving, load[first] - load[second], weights)
        if proposed[0] is proposed[1]:
            np.fill_diagonal(cost, 0)  # no group can go twice
        chosen = np.unravel_index(np.argmin(cost), cost.shape)
        idle = 0 if cost[chosen] < 0 else idle + 1
        if idle == pairs_in_a_round:
            return
        if idle == 0:
            for moves, change, place in zip(proposed, leaving, chosen, strict=True):
                hands[first] = _replace(hands[first], moves.given[place], moves.taken[place], nothing)
                hands[second] = _replace(hands[second], moves.taken[place], moves.given[place], nothing)
                load[first] -= change[place]
                load[second] += change[place]


def _pairs(num_shards: int) -> Iterator[tuple[int, int]]:
    """Yields pairs of shards, every pair in every round, so that all shards take part alike if time ends a round."""
    distances = range(1, num_shards // 2 + 1)
    rounds = ((first, distance) for distance in itertools.cycle(distances) for first in range(num_shards))
    for first, distance in itertools.islice(rounds, _EXCHANGE_TRIALS if distances else 0):
        yield first, (first + distance) % num_shards


def _exchange_cost(ones: np.ndarray, others: np.ndarray, lead: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns half the growth of the cost if one of the first moves (rows) and one of the others (columns) are made.

    With leaving = what both take from one shard to the other, and lead = load of the giver - load of the taker, the sum
    of both shards' weighted squared loads grows by 2 * leaving**2 - 2 * leaving * lead.
    """
    weighted_ones, weighted_others = ones * weights, others * weights
    of_ones = (weighted_ones * ones).sum(axis=1) - weighted_ones @ lead
    of_others = (weighted_others * others).sum(axis=1) - weighted_others @ lead
    return of_ones[:, None] + of_others + 2 * (weighted_ones @ others.T)


def _replace(hand: np.ndarray, old: int, new: int, nothing: int) -> np.ndarray:
    """Returns the hand without one group of kind `old` and with one of kind `new`; `nothing` stands for no group."""
    if old != nothing:
        hand = np.delete(hand, np.flatnonzero(hand == old)[0])
    return hand if new == nothing else np.append(hand, new)
