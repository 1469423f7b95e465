"""LeanMinHash bytes in both directions, and data that is none."""

from __future__ import annotations

import struct
from typing import get_args

import numpy as np
import pytest
from datasketch import LeanMinHash, MinHash
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_sets import as_sets

from governance.dedup.lean import ByteOrder, from_lean, to_lean
from governance.dedup.minhash import sign_sets
from governance.errors import InputError

ITEMS = [{1, 2, 3}, {2**64 - 1}, set(), set(range(1, 500))]
ORDERS = get_args(ByteOrder)


def peer_bytes(sketch: MinHash, byteorder: str) -> bytes:
    lean = LeanMinHash(sketch)
    buffer = bytearray(lean.bytesize(byteorder))
    lean.serialize(buffer, byteorder)
    return bytes(buffer)


@pytest.mark.parametrize("byteorder", ORDERS)
@pytest.mark.parametrize("count", [128, 256])
def test_export(count: int, byteorder: ByteOrder) -> None:
    """
    datasketch reads every record as the sketch it would have made itself, and writes the same bytes.
    """
    signatures = sign_sets(as_sets(ITEMS), count=count, seed=9)
    data = to_lean(signatures, 9, byteorder)
    size = len(data) // len(ITEMS)
    for k, item in enumerate(ITEMS):
        sketch = MinHash(count, 9, hashfunc=lambda value: value)
        sketch.update_batch([value & 0xFFFFFFFF for value in item])
        record = data[k * size : (k + 1) * size]
        assert LeanMinHash.deserialize(record, byteorder) == LeanMinHash(sketch)
        assert record == peer_bytes(sketch, byteorder) == to_lean(signatures[k], 9, byteorder)


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.integers(0, 2**32 - 1), min_size=128, max_size=128),
    seed=st.integers(-(2**63), 2**63 - 1),
    byteorder=st.sampled_from(ORDERS),
)
def test_import(values: list[int], seed: int, byteorder: ByteOrder) -> None:
    """
    What datasketch writes comes back with its values and seed.
    """
    lean = LeanMinHash(seed=seed, hashvalues=values, scheme="affine32")
    buffer = bytearray(lean.bytesize(byteorder))
    lean.serialize(buffer, byteorder)
    signatures, read = from_lean(bytes(buffer) * 3, byteorder)
    assert read == seed
    assert signatures.dtype == np.uint32
    assert signatures.tolist() == [values] * 3


def test_foreign() -> None:
    """
    Data of another scheme, size or kind, cut short or mixed is refused with a reason, whatever bytes it holds.
    """
    good = to_lean(np.zeros(128, np.uint32))
    legacy = LeanMinHash(MinHash(128, scheme="legacy"))
    wide = LeanMinHash(MinHash(128, scheme="affine64"))
    cases = {b"": "0 bytes", good[:-1]: "cut short", good[:11]: "expected at least"}
    for lean, name in ((legacy, "legacy"), (wide, "affine64")):
        buffer = bytearray(lean.bytesize())
        lean.serialize(buffer)
        cases[bytes(buffer)] = name
    cases[struct.pack("qiB3x", 1, -64, 1) + bytes(256)] = "64 permutations"
    cases[struct.pack("qiB3x", 1, -128, 7) + bytes(512)] = "number 7"
    cases[good + to_lean(np.zeros(128, np.uint32), seed=2)] = "another seed"
    cases[to_lean(np.zeros(128, np.uint32), byteorder=">")] = "permutations in byte order '@'"
    for data, reason in cases.items():
        with pytest.raises(InputError, match=reason):
            from_lean(data)
    random = np.random.default_rng(0)
    for size in range(0, 2000, 37):
        with pytest.raises(InputError, match="LeanMinHash"):
            from_lean(random.bytes(size))


def test_nothing() -> None:
    """
    No signatures are no bytes.
    """
    assert to_lean(np.empty((0, 128), np.uint32)) == b""
