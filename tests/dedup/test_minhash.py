"""Signatures against datasketch's, value by value."""

from __future__ import annotations

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from plain_sets import as_sets

from governance.dedup.minhash import EMPTY, permutations, sign_sets

HASHES = st.one_of(
    st.integers(1, 2**64 - 1),
    st.integers(1, 2**32),
    st.sampled_from([1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1]),
)


def peer(items: list[set[int]], count: int, seed: int) -> NDArray[np.uint32]:
    """Sign the low 32 bits with datasketch and the identity as hash function."""
    out = []
    for item in items:
        sketch = MinHash(count, seed, hashfunc=lambda value: value)
        sketch.update_batch([value & 0xFFFFFFFF for value in item])
        assert sketch.scheme == "affine32"
        out.append(sketch.hashvalues)
    return np.array(out, np.uint32).reshape(-1, count)


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(st.sets(HASHES, max_size=40), max_size=12),
    count=st.sampled_from([128, 256]),
    seed=st.integers(0, 2**32 - 1),
)
def test_bit_for_bit(items: list[set[int]], count: int, seed: int) -> None:
    """
    Any sets, seed and number of permutations give datasketch's values, also for the empty set and sets of one.
    """
    signatures = sign_sets(as_sets(items), count=count, seed=seed)
    assert signatures.dtype == np.uint32
    assert np.array_equal(signatures, peer(items, count, seed))


@pytest.mark.parametrize("count", [128, 256])
def test_large_sets(count: int) -> None:
    """
    Sets of thousands of shingles, more than one piece of work together, equal datasketch's for every thread count.
    """
    random = np.random.default_rng(count)
    items = [{int(v) for v in random.integers(1, 2**64, size, dtype=np.uint64)} for size in (9_000, 1, 20_000, 0, 999)]
    items *= 40
    signatures = [sign_sets(as_sets(items), count=count, threads=threads) for threads in (1, 2, 5)]
    assert np.array_equal(signatures[0][:5], peer(items[:5], count, 1))
    assert np.array_equal(signatures[0], np.tile(signatures[0][:5], (40, 1)))
    assert all(np.array_equal(signatures[0], other) for other in signatures[1:])


def test_empty() -> None:
    """
    An empty set has the largest value in every place, and no sets give no signatures.
    """
    assert (sign_sets(as_sets([set()])) == EMPTY).all()
    assert sign_sets(as_sets([]), count=256).shape == (0, 256)


def test_estimate() -> None:
    """
    The share of equal places is within four standard errors of the Jaccard similarity.
    """
    random = np.random.default_rng(5)
    common, one, other = (set(random.integers(1, 2**64, n, dtype=np.uint64).tolist()) for n in (600, 150, 250))
    a, b = sign_sets(as_sets([common | one, common | other]), count=256)
    assert abs(float((a == b).mean()) - 0.6) < 4 * (0.6 * 0.4 / 256) ** 0.5


@pytest.mark.parametrize("count", [0, 64, 127, 512])
def test_counts(count: int) -> None:
    """
    Other numbers of permutations are refused.
    """
    with pytest.raises(ValueError, match="expected one of"):
        permutations(count)
