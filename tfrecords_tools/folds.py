"""Rows -> shards: stratified, with patients and groups of duplicates whole; folds are sets of whole shards."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from tfrecords_tools.errors import DataError


def fold_shards(num_shards: int, num_folds: int, fold: int) -> tuple[int, ...]:
    """Returns the shards of a fold: every `num_folds`-th shard, so that all folds have an equal share.

    Raises:
      DataError: if there are more folds than shards, or the fold is not one of them.
    """
    if not 2 <= num_folds <= num_shards:
        raise DataError(f"num_folds is {num_folds}: with {num_shards} shards choose 2 to {num_shards}")
    if not 0 <= fold < num_folds:
        raise DataError(f"fold {fold} does not exist: the {num_folds} folds are 0 to {num_folds - 1}")
    return tuple(range(fold, num_shards, num_folds))


def group_rows(rows: pd.DataFrame) -> np.ndarray:
    """Returns a group code for every row `[N]`: rows of one patient, and files with equal bytes, share a code.

    Arguments:
      rows: with the columns `patient_id` (missing: a patient of its own) and `file`.
    """
    count = len(rows)
    patients = rows["patient_id"].to_numpy(dtype=object, na_value=None)
    keys = [("patient", patient) if patient is not None else ("row", row) for row, patient in enumerate(patients)]
    codes = np.concatenate([pd.factorize(pd.Series(keys))[0], _duplicate_codes(rows["file"].tolist())])
    codes[count:] += count  # two families of nodes: patients and contents
    nodes = np.concatenate([np.arange(count), np.arange(count)]) + 2 * count
    size = 3 * count
    edges = coo_matrix((np.ones(2 * count, bool), (nodes, codes)), shape=(size, size))
    labels = connected_components(edges, directed=False)[1][2 * count :]
    return pd.factorize(labels)[0]


def assign_shards(groups: np.ndarray, targets: np.ndarray, num_shards: int, seed: int) -> np.ndarray:
    """Returns the shard of every row `[N]`, balancing classes, rows and groups at once.

    Groups are dealt greedily, those with the most of the rarest class first, each to the shard whose squared
    relative deviations from an even share it lowers most.

    Arguments:
      groups: group code of every row `[N]`; a group is never split.
      targets: class index of every row `[N]`.
      num_shards: how many shards.
      seed: decides between equals.

    Raises:
      DataError: if there are fewer groups than shards.
    """
    num_groups = int(groups.max(initial=-1)) + 1
    if num_groups < num_shards:
        raise DataError(f"num_shards is {num_shards}, but there are only {num_groups} patients: choose fewer shards")
    demand = _group_demand(groups, targets, num_groups)
    totals = demand.sum(axis=0)
    rarest_first = [demand[:, quantity] for quantity in np.argsort(-totals, kind="stable")]
    order = np.lexsort([np.random.default_rng(seed).permutation(num_groups), *rarest_first])[::-1]
    shard_of_group = _deal(demand[order] / (totals / num_shards), num_shards)
    assignment = np.empty(num_groups, dtype=np.int64)
    assignment[order] = shard_of_group
    return assignment[groups]


def _group_demand(groups: np.ndarray, targets: np.ndarray, num_groups: int) -> np.ndarray:
    """Returns what each group takes of the quantities to balance `[groups, classes + 2]`: classes, rows, groups."""
    classes = np.unique(targets)
    per_class = [np.bincount(groups[targets == label], minlength=num_groups) for label in classes]
    return np.stack([*per_class, np.bincount(groups, minlength=num_groups), np.ones(num_groups)], axis=1).astype(float)


def _deal(shares: np.ndarray, num_shards: int) -> np.ndarray:
    """Deals rows of `shares` (in units of an even shard's load) in order; returns the shard of each."""
    load = np.zeros((num_shards, shares.shape[1]))
    dealt = np.empty(len(shares), dtype=np.int64)
    for position, share in enumerate(shares):
        # Growth of sum((load - 1)**2), without the terms that are equal for every shard.
        dealt[position] = np.argmin((load * share).sum(axis=1))
        load[dealt[position]] += share
    return dealt


def _duplicate_codes(files: Sequence[Path]) -> np.ndarray:
    """Returns equal codes for files with equal bytes; only files of equal size are read."""
    by_size: dict[int, list[int]] = defaultdict(list)
    for row, file in enumerate(files):
        if file.is_file():
            by_size[file.stat().st_size].append(row)
    codes = np.arange(len(files))
    for rows in by_size.values():
        first_with: dict[bytes, int] = {}
        for row in rows if len(rows) > 1 else ():
            digest = hashlib.sha256(files[row].read_bytes()).digest()
            codes[row] = first_with.setdefault(digest, row)
    return codes
