"""Images of one photograph: all pairs of perceptual hashes that differ in few bits, found without comparing all.

The coarse part of a hash is cut into 16 bands of 16 bits. If two differ in at most 31 coarse bits, then at least one
of their bands differs in at most one (16 bands with two each would make 32). So only pairs with such a band are
compared, and none is missed (multi-index hashing: Norouzi, Punjani and Fleet 2012). Memory is bounded by
`_PAIRS` pairs; the time grows with the number of pairs that share a band.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from tfrecords_tools.hashing import COARSE_BYTES, HASH_BYTES, MAX_BITS, MAX_COARSE_BITS

_PAIRS = 1 << 18  # compared at a time


def find_duplicates(hashes: Sequence[bytes | None]) -> np.ndarray:
    """Returns a group code for each image `[N]`, int64: images of one photograph share a code.

    Codes count up from 0 in the order of first appearance. A group is a connected component: its members may differ
    in more bits than `MAX_BITS` if others lie between them.

    Arguments:
      hashes: of `perceptual_hash`; an image without a hash is a group of its own.
    """
    code_of_hash, distinct = pd.factorize(np.array(hashes, dtype=object))  # -1: no hash
    alone = len(distinct) + np.arange(len(code_of_hash))
    labels = np.append(_link(_as_words(distinct)), 0)
    return pd.factorize(np.where(code_of_hash >= 0, labels[code_of_hash], alone))[0].astype(np.int64)


def bits_from_first(hashes: Sequence[bytes | None], groups: np.ndarray) -> np.ndarray:
    """Returns in how many bits each hash differs from the first image of its group `[N]`, int64.

    Arguments:
      hashes: of `perceptual_hash`; 0 is returned where there is none.
      groups: their group codes `[N]`, as `find_duplicates` returns them.
    """
    words = _as_words([hash_ or bytes(HASH_BYTES) for hash_ in hashes])
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return _count_bits(words ^ words[first[inverse]])


def _as_words(hashes: Sequence[bytes]) -> np.ndarray:
    """Returns hashes as little-endian words `[N, HASH_BYTES / 8]`, uint64."""
    return np.frombuffer(b"".join(hashes), dtype="<u8").reshape(-1, HASH_BYTES // 8)


def _link(words: np.ndarray) -> np.ndarray:
    """Returns the connected component of each hash `[N]`, among pairs that differ in few bits."""
    coarse = np.ascontiguousarray(words[:, : COARSE_BYTES // 8])
    labels = np.arange(len(words))
    for band in coarse.view("<u2").T:
        for left, right in _pairs_with_near_values(band):
            apart = labels[left] != labels[right]
            left, right = left[apart], right[apart]
            for part, most in ((coarse, MAX_COARSE_BITS), (words, MAX_BITS)):
                near = _count_bits(part[left] ^ part[right]) <= most
                left, right = left[near], right[near]
            if len(left):
                labels = _merge(labels, left, right)
    return labels


def _merge(labels: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns the components `[N]` after each of `left` was joined to its `right`."""
    edges = coo_matrix((np.ones(len(left), bool), (labels[left], labels[right])), shape=(len(labels), len(labels)))
    return connected_components(edges, directed=False)[1][labels]


def _pairs_with_near_values(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the positions of all pairs whose values (uint16) differ in one bit at most, each pair once."""
    values = values.astype(np.int64)
    order = np.argsort(values, kind="stable")
    values = values[order]
    starts = np.append(0, np.cumsum(np.bincount(values, minlength=1 << 16)))  # of each value's run in the order
    everyone = np.arange(len(values))
    yield from _pairs_with_runs(order, everyone, everyone + 1, starts[values + 1])
    for bit in 1 << np.arange(16):
        smaller = np.flatnonzero(values & bit == 0)
        larger = values[smaller] | bit
        yield from _pairs_with_runs(order, smaller, starts[larger], starts[larger + 1])


def _pairs_with_runs(
    order: np.ndarray, members: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields `order[member]` paired with all of `order[start:end]`, member by member, about `_PAIRS` pairs at a time.

    Arguments:
      order: what the other three point into `[N]`.
      members: `[M]`.
      starts: of each member's run `[M]`.
      ends: of each member's run, itself excluded `[M]`.
    """
    lengths = ends - starts
    until = np.cumsum(lengths)
    begins = np.searchsorted(until, np.arange(0, lengths.sum(), _PAIRS), side="right")
    for begin, end in itertools.pairwise(np.append(np.unique(begins), len(members))):
        part = slice(begin, end)
        own = lengths[part]
        first_pairs = np.repeat(until[part] - own, own)
        within_run = np.arange(until[part][0] - own[0], until[part][-1]) - first_pairs
        yield order[np.repeat(members[part], own)], order[np.repeat(starts[part], own) + within_run]


def _count_bits(words: np.ndarray) -> np.ndarray:
    """Returns the number of ones in each row `[N]`, int64, of words `[N, W]`, uint64."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return np.unpackbits(words.view(np.uint8), axis=1).sum(axis=1, dtype=np.int64)  # NumPy 1
