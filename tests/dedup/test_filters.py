"""What is left out of a search on two sides could not have been found."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from governance.dedup import filters
from governance.dedup.filters import possible_sets
from governance.dedup.join import Sets, near_pairs


def random_sets(seed: int, count: int = 120) -> tuple[Sets, list[set[int]]]:
    """Make sets of up to 30 hashes, many of them near each other, one empty."""
    rng = np.random.default_rng(seed)
    pool = rng.integers(1, 2**64, 200, np.uint64)
    rows = [set()] + [
        set(rng.choice(pool[: rng.choice((20, 200))], rng.integers(1, 31)).tolist()) for _ in range(count)
    ]
    rows += [set(list(row)[k % 2 :]) for k, row in enumerate(rows[1:60]) if len(row) > 1]
    sizes = np.array([len(row) for row in rows], np.int64)
    hashes = np.concatenate([np.array(sorted(row), np.uint64) for row in rows])
    none = np.empty(0, np.uint64), np.zeros(sizes.size + 1, np.int64)
    return Sets(hashes, np.cumsum(sizes) - sizes, sizes, *none), rows


@pytest.mark.parametrize(("p", "q"), [(1, 2), (4, 5), (1, 1)])
@pytest.mark.parametrize("bits", [12, 28])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost(monkeypatch: pytest.MonkeyPatch, seed: int, bits: int, p: int, q: int) -> None:
    """
    Every pair across that reaches the threshold is found, at the border too, and what is left out is in none.
    """
    monkeypatch.setattr(filters, "_BITS", bits)
    monkeypatch.setattr(filters, "_RANGE", 50)
    sets, rows = random_sets(seed)
    side = np.random.default_rng(seed).integers(0, 2, len(rows)).astype(np.int8)
    near = {
        (a, b)
        for a, one in enumerate(rows)
        for b, other in enumerate(rows[a + 1 :], a + 1)
        if side[a] != side[b] and one and q * len(one & other) >= p * len(one | other)
    }
    assert near
    possible = possible_sets(sets, side, p, q)
    assert {k for pair in near for k in pair} <= set(np.flatnonzero(possible).tolist())
    with duckdb.connect() as con:
        pairs = near_pairs(sets, con, threshold=p / q, side=side)
    assert set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)) == near


def test_nothing_in_common() -> None:
    """
    Sides without a shingle in common, or with nothing on one of them, leave nothing to search.
    """
    hashes = np.arange(1, 41, dtype=np.uint64) << np.uint64(50)
    sizes = np.full(4, 10, np.int64)
    sets = Sets(hashes, np.cumsum(sizes) - sizes, sizes, np.empty(0, np.uint64), np.zeros(5, np.int64))
    assert not possible_sets(sets, np.array([0, 1, 0, 1], np.int8), 1, 2).any()
    assert not possible_sets(sets, np.zeros(4, np.int8), 1, 2).any()
