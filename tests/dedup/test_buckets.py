"""`minhash_pairs` against all pairs: what it finds is right, and it finds what its bands promise."""

from __future__ import annotations

import random

import numpy as np
import pytest
from plain_sets import as_dict, as_sets, family_sets, near

from governance.dedup.bands import choose_bands
from governance.dedup.buckets import band_keys, minhash_pairs
from governance.dedup.join import Pairs, Sets
from governance.dedup.leaders import choose_leaders, pairs_members
from governance.dedup.minhash import sign_sets
from governance.errors import UsageError


@pytest.mark.parametrize("count", [128, 256])
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_pairs(threshold: float, count: int) -> None:
    """
    Every pair is one that comparing all sets finds, with the same similarity; at least 0.995 of them are there.
    """
    found = expected = 0
    for seed in range(4):
        items = family_sets(seed)
        rng = random.Random(seed)  # noqa: S311
        whole = [set(rng.sample(range(4), rng.randrange(2))) for _ in items]
        truth = near(items, threshold, whole)
        pairs = as_dict(minhash_pairs(as_sets(items, whole), threshold=threshold, count=count, seed=seed))
        assert list(pairs) == sorted(pairs)
        assert pairs.items() <= truth.items()
        found, expected = found + len(pairs), expected + len(truth)
    assert expected >= 60
    assert found >= 0.995 * expected


@pytest.mark.parametrize("recall", [0.0, 0.9, 0.995])
def test_expected_recall(recall: float) -> None:
    """
    The share found at one similarity is the expected one, within five standard errors.
    """
    pairs, size = 3_000, 45
    random_ = np.random.default_rng(3)
    values = random_.integers(1, 2**64, (pairs, size + 5), dtype=np.uint64)
    items = [set(part.tolist()) for row in values for part in (row[:size], row[5:])]  # 40 of 50 in common
    bands = choose_bands(0.8, recall=recall)
    found = minhash_pairs(as_sets(items), threshold=0.8, bands=bands).left.size / pairs
    error = (bands.recall_at * (1 - bands.recall_at) / pairs) ** 0.5
    assert abs(found - bands.recall_at) < 5 * error


def test_threads() -> None:
    """
    Any number of threads gives the same pairs, candidates and hot buckets.
    """
    sets = as_sets(family_sets(1, families=300))
    one, *others = (minhash_pairs(sets, threshold=0.7, threads=threads, hot=4) for threads in (1, 2, 7))
    for other in others:
        for name in Pairs.__annotations__:
            assert np.array_equal(getattr(one, name), getattr(other, name))


def test_keys() -> None:
    """
    Two sets have a key in common exactly where a whole band of their signatures is equal.
    """
    sets = as_sets(family_sets(2, families=12))
    bands = choose_bands(0.7)
    keys = band_keys(sets, bands)
    signatures = sign_sets(sets)[:, : bands.bands * bands.rows].reshape(-1, bands.bands, bands.rows)
    equal = (signatures[:, None] == signatures[None]).all(axis=3)
    assert np.array_equal(keys[:, None] == keys[None], equal)


def leaders(pairs: Pairs, sets: Sets) -> list[int]:
    witness, _, _, _ = choose_leaders(pairs, sets, pairs_members(pairs), threshold=0.7)
    return witness.tolist()


def test_hot() -> None:
    """
    Buckets that are left out of the pairs change no decision, and ten thousand near-equal sets stay quick.
    """
    items = family_sets(5, families=30, copies=12)
    sets = as_sets(items)
    every, some = minhash_pairs(sets, threshold=0.7), minhash_pairs(sets, threshold=0.7, hot=3)
    assert some.hot_sample.size
    assert some.left.size < every.left.size
    assert leaders(some, sets) == leaders(every, sets)
    base = set(range(1, 101))
    crowd = as_sets([base | {1_000 + k} for k in range(10_000)])
    pairs = minhash_pairs(crowd, threshold=0.7, hot=200)
    assert pairs.candidates < 100_000
    assert len(set(leaders(pairs, crowd))) == 1


def test_nothing() -> None:
    """
    No sets, empty sets and sets without any like them have no pair; two empty sets are not alike.
    """
    lists: list[list[set[int]]] = [[], [set(), set()], [{1}, {2}, set()], [{1, 2, 3}]]
    for items in lists:
        assert minhash_pairs(as_sets(items), threshold=0.5).left.size == 0
    assert as_dict(minhash_pairs(as_sets([{7}, set(), {7}]), threshold=1.0)) == {(0, 2): 1.0}


@pytest.mark.parametrize("threshold", [0.49, 1.01, 0.12345678])
def test_range(threshold: float) -> None:
    """
    A threshold out of range is refused, as by the exact method.
    """
    with pytest.raises(UsageError, match="dedup threshold"):
        minhash_pairs(as_sets([{1}, {1}]), threshold=threshold)
