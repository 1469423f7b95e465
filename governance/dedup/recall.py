"""shingle sets, the pairs that a search found -> its measured recall, against an exact search for a sample of sets.

All near pairs of some sets, drawn at random, are searched in another way than either method does. If
``J(A, B) >= t``, B has at least ``t |A|`` of A's shingles, so of *any* ``|A| - ceil(t |A|) + 1`` shingles of A it has
one. Of every drawn set these many are chosen, the rarest among the drawn; then all shingles of all sets are looked up
among them, and who has one is compared. Neither signatures nor a common order nor a database has a part in it, so
nothing that the search under test relies on can hide what it loses.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import boolean, int32, int64, uint64, void

from governance.dedup.join import Pairs, Sets, as_fraction, verify
from governance.dedup.minhash import ranges
from governance.kernels import I32, I64, U64, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE = 2_000  # sets; the other side of their pairs is the whole dataset
_ROOM = 1 << 16  # candidates of one piece of work, at first
_Z = 1.959964  # normal quantile of a two-sided 95 % interval


@dataclass(frozen=True)
class Recall:
    """
    What a search found of what is there.

    Attributes:
        samples: sets that were drawn.
        pairs: near pairs that one of them belongs to.
        found: those of them that the search knows.
    """

    samples: int
    pairs: int
    found: int

    @property
    def value(self) -> float | None:
        """Return found / pairs; None without a pair, as nothing was measured then."""
        return self.found / self.pairs if self.pairs else None

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the recall (Wilson 1927), as if pairs were lost independently of each other."""
        if not self.pairs:
            return 0.0, 1.0
        n, share = self.pairs, self.found / self.pairs
        middle = (share + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
        half = _Z * sqrt(share * (1 - share) / n + _Z * _Z / (4 * n * n)) / (1 + _Z * _Z / n)
        return max(0.0, middle - half), min(1.0, middle + half)


def measured_recall(
    sets: Sets, pairs: Pairs, *, threshold: float, sample: int = SAMPLE, seed: int = 0, threads: int = 2
) -> Recall:
    """
    Return how many of the near pairs of *sample* random sets *pairs* knows.

    A pair that was left to a hot shingle or bucket is known: clustering compares it where it matters.

    Raises:
        UsageError: the threshold is out of range.
    """
    p, q = as_fraction(threshold)
    filled = np.flatnonzero(sets.sizes)
    drawn = np.sort(np.random.default_rng(seed).permutation(filled)[:sample])
    true = _exact_pairs(sets, drawn, p, q, threads)
    known = pairs.left.astype(np.uint64) << np.uint64(32) | pairs.right.astype(np.uint64)
    missing = np.setdiff1d(true, known, assume_unique=True)
    order = np.lexsort((pairs.hot_hash, pairs.hot_sample))
    ends = np.searchsorted(pairs.hot_sample[order], np.arange(sets.sizes.size + 1)).astype(np.int64)
    shared = np.empty(missing.size, np.bool_)
    share_hot(missing, pairs.hot_hash[order], ends, shared)
    return Recall(drawn.size, true.size, true.size - missing.size + int(shared.sum()))


def _exact_pairs(sets: Sets, drawn: NDArray[np.int64], p: int, q: int, threads: int) -> NDArray[np.uint64]:
    """Return all near pairs of the sets *drawn*, the smaller in the upper and the larger in the lower 32 bits."""
    sizes = sets.sizes[drawn]
    owners = np.repeat(np.arange(drawn.size), sizes)
    places = np.arange(owners.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    hashes = sets.hashes[np.repeat(sets.starts[drawn], sizes) + places]
    _, key, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    order = np.lexsort((hashes, counts[key], owners))
    chosen = order[places < np.repeat(sizes - (p * sizes + q - 1) // q + 1, sizes)]
    chosen = chosen[np.argsort(hashes[chosen], kind="stable")]
    with ThreadPoolExecutor(threads) as pool:
        candidates = _match_keys(sets, hashes[chosen], owners[chosen], drawn, (p, q), pool)
        left = (candidates >> np.uint64(32)).astype(np.int32)
        right = (candidates & np.uint64(0xFFFFFFFF)).astype(np.int32)
        return candidates[verify(sets, left, right, p, q, pool) >= 0]


def _match_keys(
    sets: Sets,
    hashes: NDArray[np.uint64],
    owners: NDArray[np.int64],
    drawn: NDArray[np.int64],
    limit: tuple[int, int],
    pool: ThreadPoolExecutor,
) -> NDArray[np.uint64]:
    """Return the distinct pairs of any set and a drawn one whose *hashes*, ascending, it has one of."""
    keys, firsts = np.unique(hashes, return_index=True)
    ends = np.append(firsts, hashes.size).astype(np.int64)
    table, places = _table(keys)

    def match(span: tuple[int, int]) -> NDArray[np.uint64]:
        room = _ROOM
        while True:
            out = np.empty(room, np.uint64)
            needed = match_keys(
                sets.hashes, sets.starts, sets.sizes, *span, table, places, ends, owners, drawn, *limit, out
            )
            if needed <= room:
                sets.release()
                return out[:needed].copy()
            room = needed

    return np.unique(np.concatenate([np.empty(0, np.uint64), *pool.map(match, ranges(sets.sizes))]))


def _table(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return a hash table of distinct *keys*, none of them 0, and the place of each of its entries in *keys*."""
    size = 1 << max(4, (2 * keys.size).bit_length())
    table, places = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    fill_table(keys, table, places)
    return table, places


@kernel(void(U64, uint64[::1], int32[::1]))
def fill_table(keys: Any, table: Any, places: Any) -> None:
    """Put *keys* into the open hash table *table*, whose size is a power of two and which is zero on entry."""
    mask = table.size - 1
    for k in range(keys.size):
        slot = int64(keys[k]) & mask
        while table[slot] != 0:
            slot = (slot + 1) & mask
        table[slot] = keys[k]
        places[slot] = k


@kernel(int64(U64, I64, I64, int64, int64, U64, I32, I64, I64, I64, int64, int64, uint64[::1]))
def match_keys(
    hashes: Any, starts: Any, sizes: Any, first: int, last: int, table: Any, places: Any, ends: Any, owners: Any,
    drawn: Any, p: int, q: int, out: Any,
) -> int:  # fmt: skip
    """
    Write every pair of a set of ``[first, last)`` and a drawn one that has a key in common and sizes that allow p / q.

    Args:
        ends, owners: key k was chosen of the sets ``drawn[owners[ends[k]:ends[k + 1]]]``.
        out: filled as far as it goes.

    Returns:
        The number of pairs, also where *out* is too short for them; one pair of two drawn sets comes twice.
    """
    mask = table.size - 1
    seen = np.full(drawn.size, -1, np.int64)
    used = 0
    for i in range(first, last):
        for k in range(starts[i], starts[i] + sizes[i]):
            slot = int64(hashes[k]) & mask
            while table[slot] != 0 and table[slot] != hashes[k]:
                slot = (slot + 1) & mask
            if table[slot] == 0:
                continue
            for m in range(ends[places[slot]], ends[places[slot] + 1]):
                other = drawn[owners[m]]
                if seen[owners[m]] == i or other == i:
                    continue
                seen[owners[m]] = i
                if q * min(sizes[i], sizes[other]) >= p * max(sizes[i], sizes[other]):
                    if used < out.size:
                        out[used] = uint64(min(i, other)) << uint64(32) | uint64(max(i, other))
                    used += 1
    return used


@kernel(void(U64, U64, I64, boolean[::1]))
def share_hot(pairs: Any, hot: Any, ends: Any, out: Any) -> None:
    """Write whether the two samples of every pair share a hot hash; those of i are ``hot[ends[i]:ends[i + 1]]``."""
    for k in range(pairs.size):
        a, b = int64(pairs[k] >> uint64(32)), int64(pairs[k] & uint64(0xFFFFFFFF))
        i, j = ends[a], ends[b]
        out[k] = False
        while i < ends[a + 1] and j < ends[b + 1] and not out[k]:
            if hot[i] == hot[j]:
                out[k] = True
            elif hot[i] < hot[j]:
                i += 1
            else:
                j += 1
