"""The measured recall against the pairs that comparing all sets finds."""

from __future__ import annotations

import dataclasses

import duckdb
import numpy as np
import pytest
from plain_sets import as_sets, family_sets, near

from governance.dedup.bands import choose_bands
from governance.dedup.buckets import minhash_pairs
from governance.dedup.join import near_pairs
from governance.dedup.recall import Recall, measured_recall


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 1.0])
def test_all_sets(threshold: float) -> None:
    """
    With every set drawn, the recall is the share of all near pairs that the search knows; the exact join knows all.
    """
    for seed in range(3):
        items = family_sets(seed)
        sets = as_sets(items)
        truth = near(items, threshold)
        weak = minhash_pairs(sets, threshold=threshold, bands=choose_bands(threshold, recall=0.0))
        measured = measured_recall(sets, weak, threshold=threshold, sample=10**6)
        assert measured == Recall(len(items) - 2, len(truth), weak.left.size)
        with duckdb.connect() as con:
            exact = near_pairs(sets, con, threshold=threshold)
        assert measured_recall(sets, exact, threshold=threshold, sample=10**6).value == 1.0


def test_sample() -> None:
    """
    With some sets drawn, the pairs are those that one of them belongs to, and lost ones are counted as lost.
    """
    items = family_sets(7, families=60)
    sets = as_sets(items)
    truth = near(items, 0.7)
    pairs = minhash_pairs(sets, threshold=0.7)
    half = dataclasses.replace(pairs, left=pairs.left[::2], right=pairs.right[::2], similarity=pairs.similarity[::2])
    drawn = np.random.default_rng(4).permutation(np.flatnonzero(sets.sizes))[:50].tolist()
    touched = [pair for pair in truth if set(pair) & set(drawn)]
    known = set(zip(half.left.tolist(), half.right.tolist(), strict=True))
    measured = measured_recall(sets, half, threshold=0.7, sample=50, seed=4)
    assert measured == Recall(50, len(touched), len(known & set(touched)))
    assert 0 < measured.found < measured.pairs


def test_hot() -> None:
    """
    Pairs that were left to hot buckets or hot shingles count as known.
    """
    items = family_sets(8, copies=12)
    sets = as_sets(items)
    with duckdb.connect() as con:
        searches = [minhash_pairs(sets, threshold=0.8, hot=3), near_pairs(sets, con, threshold=0.8, hot=3)]
    for pairs in searches:
        assert pairs.left.size < len(near(items, 0.8))
        assert measured_recall(sets, pairs, threshold=0.8, sample=10**6).value == 1.0


def test_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    More candidates than there was room for are found in a second pass.
    """
    monkeypatch.setattr("governance.dedup.recall._ROOM", 3)
    items = family_sets(9)
    sets = as_sets(items)
    pairs = minhash_pairs(sets, threshold=0.8)
    measured = measured_recall(sets, pairs, threshold=0.8, sample=10**6)
    assert measured.pairs == len(near(items, 0.8)) > 3


def test_values() -> None:
    """
    Without a pair nothing is measured; the interval is Wilson's.
    """
    assert Recall(10, 0, 0).value is None
    assert Recall(10, 0, 0).interval == (0.0, 1.0)
    assert Recall(10, 20, 20).interval == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert Recall(10, 100, 90).interval == pytest.approx((0.8256, 0.9448), abs=1e-4)
    empty = as_sets([set(), set()])
    assert measured_recall(empty, minhash_pairs(empty, threshold=0.8), threshold=0.8) == Recall(0, 0, 0)
