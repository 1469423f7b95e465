"""Measures of one pair against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.audit import matching

SHORT = st.lists(st.integers(1, 4), max_size=14)


def array(values: list[int]) -> np.ndarray:
    """Values as lexemes."""
    return np.array(values, np.uint64)


def brute_longest(a: list[int], b: list[int]) -> int:
    """The longest common run, by trying all."""
    return max(
        (k for k in range(1, len(a) + 1) for i in range(len(a) - k + 1) if stands_in(a[i : i + k], b)), default=0
    )


def stands_in(a: list[int], b: list[int]) -> bool:
    """True if *a* stands in *b*."""
    return any(b[j : j + len(a)] == a for j in range(len(b) - len(a) + 1))


@given(SHORT, SHORT)
@settings(max_examples=150, deadline=None)
def test_longest_run(a: list[int], b: list[int]) -> None:
    """The run is the longest there is, and stands where it says, in both."""
    length, at, there = matching.longest_run(array(a), array(b)).tolist()
    assert length == brute_longest(a, b)
    assert a[at : at + length] == b[there : there + length]
    assert matching.stands_in(array(a), array(b)) == stands_in(a, b)


@given(SHORT, SHORT, st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_covered(a: list[int], b: list[int], least: int) -> None:
    """A lexeme is covered if some window of *least* lexemes around it stands in the other text."""
    wanted = [
        any(stands_in(a[s : s + least], b) for s in range(max(0, i - least + 1), i + 1) if s + least <= len(a))
        for i in range(len(a))
    ]
    assert matching.covered(array(a), array(b), least).tolist() == wanted


@given(SHORT, SHORT)
@settings(max_examples=100, deadline=None)
def test_edit_distance(a: list[int], b: list[int]) -> None:
    """The edit distance is that of the recursion, and similarity 0 to 1; nothing has nothing in common with nothing."""
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = range(len(a) + 1), range(len(b) + 1)
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (x != y))
    one, other = array(a).astype(np.int64), array(b).astype(np.int64)
    assert matching.edit_distance(one, other) == table[-1, -1]
    assert 0 <= matching.edit_similarity(one, other) <= 1
    assert matching.edit_similarity(one[:0], other[:0]) == 0


def test_bleu() -> None:
    """BLEU is 1 for the same text, 0 for nothing in common, and smoothed where a precision has no match."""
    text = np.arange(20)
    assert matching.bleu4(text, text) == pytest.approx(1.0)
    assert matching.bleu4(text, text + 100) == 0 == matching.bleu4(text[:0], text)
    # 1-gram 4/5, then none: k-th smoothing of ln(5) / (2**k * 5), by hand
    candidate, reference = np.array([1, 9, 2, 8, 3]), np.array([1, 7, 2, 6, 3])
    logs = [math.log(3 / 5)] + [math.log(math.log(5) / (2**k * 5) / total) for k, total in ((1, 4), (2, 3), (3, 2))]
    assert matching.bleu4(candidate, reference) == pytest.approx(math.exp(sum(logs) / 4))
    # half as long: brevity exp(1 - 2)
    assert matching.bleu4(text[:10], text) == pytest.approx(math.exp(-1))


@given(st.floats(-60, -1e-9), st.sampled_from([0.1, 0.5, 0.9]))
@settings(max_examples=100, deadline=None)
def test_needed_draws(log_p: float, p: float) -> None:
    """So many draws are enough, and one fewer is not."""
    n = matching.needed_draws(log_p, p)

    def reached(draws: float) -> float:
        # ln of the probability of no hit at all, exact for tiny and for large p_z
        miss = math.log1p(-math.exp(log_p)) if log_p < -0.7 else math.log(-math.expm1(log_p))
        return -math.expm1(draws * miss)

    assert reached(n) >= p * (1 - 1e-9)
    assert n == 1 or reached(n - 1) < p * (1 + 1e-9)


def test_needed_draws_at_the_ends() -> None:
    """What can never come needs endless draws, what is certain one."""
    assert matching.needed_draws(-math.inf, 0.5) == math.inf
    assert matching.needed_draws(0.0, 0.9) == 1
    assert matching.needed_draws(-2000.0, 0.5) == math.inf


def test_exposure_of_no_leakage() -> None:
    """A canary that ranks like the controls has a mean exposure of 1.44 bits, at most log2(controls + 1)."""
    random = np.random.default_rng(0)
    controls = random.normal(size=255)
    found = [matching.exposure(float(s), controls) for s in random.normal(size=4000)]
    assert np.mean(found) == pytest.approx(1 / math.log(2), abs=0.1)
    assert matching.exposure(math.inf, controls) == 8
