"""`near_pairs` on sets of plain numbers against all pairs."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction
from pathlib import Path

import duckdb
import numpy as np
import pytest

from governance.dedup.join import Sets, as_fraction, near_pairs
from governance.dedup.shingles import build_sets

THRESHOLDS = (0.5, 0.55, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 1.0)


def as_sets(items: list[set[int]], whole: list[set[int]] | None = None) -> Sets:
    sizes = np.array([len(s) for s in items], np.int64)
    wholes = whole or [set() for _ in items]
    return Sets(
        hashes=np.array([h for s in items for h in sorted(s)], np.uint64),
        starts=np.cumsum(sizes) - sizes,
        sizes=sizes,
        whole=np.array([w for s in wholes for w in sorted(s)], np.uint64),
        whole_ends=np.array([0, *itertools.accumulate(len(s) for s in wholes)], np.int64),
    )


def random_sets(seed: int, count: int = 120) -> list[set[int]]:
    """Make sets of 0 to 60 hashes, many of them small changes of each other; some hashes stand in most of them."""
    rng = random.Random(seed)  # noqa: S311
    common = [rng.getrandbits(64) | 1 for _ in range(6)]
    out: list[set[int]] = []
    while len(out) < count:
        base = {rng.getrandbits(64) | 1 for _ in range(rng.choice((0, 1, 2, 5, 10, 40)))}
        base |= set(rng.sample(common, rng.randrange(7)))
        for _ in range(6):
            copy = set(base)
            for _ in range(rng.choice((0, 1, 2, 4, 8))):
                if copy and rng.random() < 0.5:
                    copy.remove(rng.choice(sorted(copy)))
                else:
                    copy.add(rng.getrandbits(64) | 1)
            out.append(copy)
    return out[:count]


@pytest.mark.parametrize("partition", [8_000_000, 50])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_all_pairs(threshold: float, partition: int) -> None:
    """
    The pairs are those that comparing all pairs finds, with the same similarity, in one partition or in many.
    """
    for seed in range(3):
        items = random_sets(seed)
        rng = random.Random(seed)  # noqa: S311
        whole = [set(rng.sample(range(4), rng.randrange(3))) for _ in items]
        expected = {}
        for a, b in itertools.combinations(range(len(items)), 2):
            union = len(items[a] | items[b]) + len(whole[a] ^ whole[b])
            value = Fraction(len(items[a] & items[b]), union) if union else Fraction(0)
            if value >= Fraction(str(threshold)):
                expected[a, b] = float(value)
        with duckdb.connect() as con:
            found = near_pairs(as_sets(items, whole), con, threshold=threshold, partition=partition)
        pairs = zip(found.left.tolist(), found.right.tolist(), strict=True)
        assert expected
        assert dict(zip(pairs, found.similarity.tolist(), strict=True)) == expected
        assert found.hot_hash.size == 0


@pytest.mark.parametrize(("threshold", "size", "common"), [(0.8, 9, 8), (0.7, 17, 14), (0.6, 4, 3), (0.9, 19, 18)])
def test_borders(threshold: float, size: int, common: int) -> None:
    """
    A pair exactly at the threshold is in, whatever the threshold is as a binary fraction; one shingle less is out.
    """
    one = set(range(1, size + 1))
    for shared, pairs in ((common, 1), (common - 1, 0)):
        other = set(range(1, shared + 1)) | set(range(100, 100 + size - shared))
        value = Fraction(shared, len(one | other))
        assert value == Fraction(str(threshold)) if pairs else value < Fraction(str(threshold))
        with duckdb.connect() as con:
            assert near_pairs(as_sets([one, other]), con, threshold=threshold).left.size == pairs


def test_fractions() -> None:
    """
    A threshold is the fraction that its decimal notation says.
    """
    assert [as_fraction(t) for t in (0.5, 0.7, 0.8, 1.0)] == [(1, 2), (7, 10), (4, 5), (1, 1)]


def test_build_sets() -> None:
    """
    Sets are distinct and ascending, also with values that crowd in one place of the table, and leave it zero.
    """
    rng = random.Random(0)  # noqa: S311
    top = 2**64 - 1
    texts = [[rng.getrandbits(64) for _ in range(500)] * 2, [top - k for k in range(300)], [0, 1, 5, 5], [7], []]
    sizes = [len(t) for t in texts]
    raw = np.array([v for t in texts for v in t], np.uint64)
    starts = np.array([0, *itertools.accumulate(sizes)], np.int64)
    ends = np.arange(len(texts) + 1, dtype=np.int64)
    table, out, found = np.zeros(5 * max(sizes) + 16, np.uint64), np.zeros(raw.size, np.uint64), np.zeros(5, np.int64)
    used = build_sets(raw, starts, ends, np.ones(5, np.bool_), table, out, found)
    assert not table.any()
    assert out[:used].tolist() == [v for text in texts for v in sorted({v or 1 for v in text})]
    assert found.tolist() == [len({v or 1 for v in text}) for text in texts]


def test_no_sets(tmp_path: Path) -> None:
    """
    Without sets, or with empty ones only, there is no pair.
    """
    with duckdb.connect() as con:
        for items in ([], [set[int](), set[int]()]):
            assert near_pairs(as_sets(items), con, threshold=0.5).candidates == 0
