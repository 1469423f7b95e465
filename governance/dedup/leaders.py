"""verified pairs, an order by content -> who is kept, and for everyone else the kept witness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from governance.dedup.arrays import distinct
from governance.dedup.join import Pairs, Sets, as_fraction
from governance.dedup.shingles import sweep

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pairs_members(pairs: Pairs) -> NDArray[np.int64]:
    """Return the samples that have a pair, or may have one through a hot shingle, ascending."""
    return distinct(np.concatenate([pairs.left, pairs.right, pairs.hot_sample])).astype(np.int64)


def choose_leaders(
    pairs: Pairs, sets: Sets, order: NDArray[np.int64], *, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], int, int]:
    """
    Keep every sample that is no duplicate of one kept before it.

    Args:
        pairs: with or without its hot shingles left out of the join.
        order: `pairs_members`, in the order of preference.

    Returns:
        Per sample of *sets* its witness, which is itself if it is kept; their similarity; and how many pairs were
        compared beyond those of *pairs*, and how many of these reach the threshold.
    """
    p, q = as_fraction(threshold)
    rank = np.zeros(sets.sizes.size, np.int64)
    rank[order] = np.arange(order.size)
    before = np.minimum(rank[pairs.left], rank[pairs.right])
    after = np.maximum(rank[pairs.left], rank[pairs.right])
    edges = np.lexsort((before, after))
    shingles, hot = np.unique(pairs.hot_hash, return_inverse=True)
    owner = rank[pairs.hot_sample]
    by_owner = np.lexsort((hot, owner))
    witness, similarity = np.empty(order.size, np.int64), np.empty(order.size)
    at = order
    if sets.mapped:  # only samples with a hot shingle are compared here
        some = distinct(pairs.hot_sample).astype(np.int64)
        place = np.zeros(sets.sizes.size, np.int64)
        place[some] = np.arange(some.size)
        at, sets = place[order], sets.take(some)
    compared, reached = sweep(
        at,
        before[edges],
        row_ends(after, order.size),
        pairs.similarity[edges],
        hot[by_owner],
        pairs.hot_position[by_owner].astype(np.int64),
        row_ends(owner, order.size),
        row_ends(hot, shingles.size),
        sets.hashes, sets.starts, sets.sizes, sets.whole, sets.whole_ends, p, q, witness, similarity,
    )  # fmt: skip
    all_witness, all_similarity = np.arange(rank.size), np.ones(rank.size)
    all_witness[order], all_similarity[order] = order[witness], similarity
    return all_witness, all_similarity, compared, reached


def row_ends(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return where the entries of 0, 1, ... end in sorted *numbers*, with a 0 before: shape (count + 1,)."""
    return np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=count))]).astype(np.int64)
