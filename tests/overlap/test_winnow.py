"""Winnowing: what it keeps, that every common run of 50 lexemes is met, and that sorted fingerprints are found."""

from __future__ import annotations

import hmac

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from governance.languages.lexer import hash_bytes
from governance.overlap.keyed import key_check, keyed_hashes
from governance.overlap.winnow import (
    GUARANTEED,
    K,
    W,
    all_grams,
    directory_bits,
    probe,
    sort_fingerprints,
    view_lexemes,
    winnow,
)

MASK = 2**64 - 1
P = 0x9E3779B97F4A7C15
Words = list[int]


def words(numbers: Words) -> NDArray[np.uint64]:
    return np.array([hash_bytes(b"w%d" % n) for n in numbers], np.uint64)


def kept(texts: list[Words], base: int = 0) -> list[tuple[int, int]]:
    values = words([n for text in texts for n in text])
    ends = np.concatenate([[0], np.cumsum([len(t) for t in texts])]).astype(np.int64)
    out, at = np.empty(values.size, np.uint64), np.empty(values.size, np.uint32)
    used = winnow(values, np.arange(values.size, dtype=np.int64), ends, base, out, at)
    return list(zip(out[:used].tolist(), at[:used].tolist(), strict=True))


def grams(text: Words, size: int = K) -> list[int]:
    values = words(text)
    out, at, number = np.empty(len(text), np.uint64), np.empty(len(text), np.int64), np.empty(len(text), np.int64)
    used = all_grams(values, np.array([0, len(text)], np.int64), size, out, at, number)
    assert at[:used].tolist() == list(range(used)) and not number[:used].any()
    found: list[int] = out[:used].tolist()
    return found


def mix(value: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = (value ^ (value >> 33)) * factor & MASK
    return value ^ (value >> 33)


def reference(text: Words) -> list[tuple[int, int]]:
    """Robust winnowing as it is written down: look at every window whole."""
    values = [int(v) for v in words(text)]
    hashes = [
        mix(sum(v * pow(P, K - 1 - j, 2**64) for j, v in enumerate(values[i : i + K])) & MASK)
        for i in range(len(values) - K + 1)
    ]
    found: list[int] = []
    for last in range(min(W, len(hashes)) - 1, len(hashes)):
        window = range(max(0, last - W + 1), last + 1)
        smallest = min(hashes[i] for i in window)
        if found and found[-1] in window and hashes[found[-1]] == smallest:
            continue
        found.append(max(i for i in window if hashes[i] == smallest))
    return [(hashes[i], i) for i in found]


text_of = st.one_of(
    st.lists(st.integers(0, 10_000), min_size=K, max_size=150),
    st.lists(st.integers(0, 1), min_size=K, max_size=150),
    st.builds(lambda unit, n: (unit * n)[:200], st.lists(st.integers(0, 5), min_size=1, max_size=9), st.just(200)),
)


@settings(max_examples=150, deadline=None)
@given(text_of)
def test_robust_winnowing(text: Words) -> None:
    """The kernel keeps what looking at every window whole keeps, also where one lexeme is repeated."""
    assert kept([text]) == reference(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=GUARANTEED, max_size=90), text_of, text_of, text_of, text_of)
def test_every_common_run_is_met(run: Words, a: Words, b: Words, c: Words, d: Words) -> None:
    """Of any run of 50 lexemes or more, whatever stands around it, a kept gram of the source is a gram of the query."""
    source, query = a + run + b, c + run + d
    inside = {h for h, at in kept([source]) if len(a) <= at <= len(a) + len(run) - K}
    assert inside & set(grams(query)[len(c) : len(c) + len(run) - K + 1])


@pytest.mark.parametrize("length", [25, 26, 37, 49, 50])
def test_short_texts_keep_one(length: int) -> None:
    """A text of 25 lexemes or more keeps at least one gram."""
    text = list(range(length))
    found = kept([text])
    assert len(found) >= 1 and {h for h, _ in found} <= set(grams(text))


@pytest.mark.parametrize("length", [1, 2, 24])
def test_tiny_texts_are_one_fingerprint(length: int) -> None:
    """A text under 25 lexemes is one fingerprint, which equal texts and equal stretches of a longer text have."""
    text = list(range(length))
    [(value, at)] = kept([text])
    assert at == 0 and grams(text) == [value]
    assert value in grams([7, 7, *text, 7], length) and value not in grams([7, *text[1:], 7], length)
    assert kept([text * 2])[0][0] != value if length < 13 else True


def test_length_is_part_of_tiny_fingerprints() -> None:
    """One lexeme repeated makes another fingerprint at every length."""
    assert len({kept([[3] * n])[0][0] for n in range(1, 25)}) == 24


def test_texts_stay_apart() -> None:
    """No gram spans two texts, an empty text has none, and places count from the base."""
    a, b = list(range(60)), list(range(100, 160))
    expected = [(h, at + 5) for h, at in kept([a])] + [(h, at + 65) for h, at in kept([b])]
    assert kept([a, [], b, []], base=5) == expected


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_density(seed: int) -> None:
    """Of random text 7.4 % of the grams are kept, within 6 standard errors; of one lexeme repeated 1 in 26."""
    n = 20_000
    text = np.random.default_rng(seed).integers(0, 1 << 30, n)
    assert abs(len(kept([text.tolist()])) / n - 2 / (W + 1)) < 6 * (2 / (W + 1) / n) ** 0.5
    assert len(kept([[1] * n])) <= n / W + 1


def test_view_lexemes() -> None:
    """A view is what is not 0, with its places; the ends of texts count the same lexemes."""
    values = np.array([5, 0, 6, 0, 0, 7], np.uint64)
    found, places, ends = view_lexemes(values, np.arange(6) * 10, np.array([0, 2, 2, 5, 6]))
    assert (found.tolist(), places.tolist(), ends.tolist()) == ([5, 6, 7], [0, 20, 50], [0, 1, 1, 2, 3])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.integers(0, MASK), st.sampled_from([0, 1, 2**63, MASK, 5 << 40])), max_size=400),
    st.lists(st.integers(0, MASK), max_size=10),
)
def test_sorted_fingerprints_are_found(hashes: Words, others: Words) -> None:
    """Every fingerprint is found with all of its places, ascending, and another hash with none."""
    values = np.array(hashes, np.uint64)
    bits = directory_bits(values.size)
    directory = np.zeros((1 << bits) + 1, np.uint32)
    rest, places = np.empty(values.size, np.uint32), np.empty(values.size, np.uint32)
    sort_fingerprints(values, np.arange(values.size, dtype=np.uint32), bits, directory, rest, places)
    asked = np.array([*hashes, *others], np.uint64)
    low, high = np.empty(asked.size, np.int64), np.empty(asked.size, np.int64)
    probe(asked, bits, directory, rest, low, high)
    for value, a, b in zip(asked.tolist(), low, high, strict=True):
        stored = [i for i, h in enumerate(hashes) if h >> (32 - bits) == value >> (32 - bits)]
        assert places[a:b].tolist() == stored


def test_hot_buckets() -> None:
    """A hundred thousand equal fingerprints that alternate with another are sorted in no time, places ascending."""
    values = np.tile(np.array([7 << 20, 3 << 20], np.uint64), 50_000)
    bits = directory_bits(values.size)
    directory = np.zeros((1 << bits) + 1, np.uint32)
    rest, places = np.empty(values.size, np.uint32), np.empty(values.size, np.uint32)
    sort_fingerprints(values, np.arange(values.size, dtype=np.uint32), bits, directory, rest, places)
    low, high = np.empty(2, np.int64), np.empty(2, np.int64)
    probe(values[:2], bits, directory, rest, low, high)
    assert (high - low).tolist() == [50_000, 50_000]
    assert places[low[0] : high[0]].tolist() == list(range(0, 100_000, 2))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, MASK), min_size=1, max_size=20), st.integers(0, 255), st.binary(min_size=1, max_size=200)
)
def test_keyed_hashes(hashes: Words, view: int, key: bytes) -> None:
    """A keyed fingerprint is HMAC-SHA-256 over the view and the fingerprint, as the standard library computes it."""
    found = keyed_hashes(np.array(hashes, np.uint64), view, key).tolist()
    for value, result in zip(hashes, found, strict=True):
        digest = hmac.digest(key, bytes([view]) + value.to_bytes(8, "little"), "sha256")
        assert result == int.from_bytes(digest[:8], "little")
    assert key_check(key) != key_check(key + b"x")
