"""what a model wrote, what it was trained on -> how much of the one is the other, in lexemes.

Kernels over lexeme hashes (`languages.lexer`), so white space, a tokenizer's pieces and the language of a text make
no difference. All of them take one pair; pairs are short (a generation and its record), so plain dynamic programming
over both is the fastest exact way.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import boolean, int64

from governance.kernels import I64, U64, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel(int64[::1](U64, U64))
def longest_run(a: Any, b: Any) -> Any:
    """
    Return the longest run of lexemes that stands in both: (length, start in *a*, start in *b*), the first of several.

    Args:
        a, b: shapes (m,) and (n,). Takes m * n steps and n numbers of memory.
    """
    best = np.zeros(3, np.int64)
    row = np.zeros(b.size + 1, np.int64)
    for i in range(a.size):
        before = 0
        for j in range(b.size):
            above = row[j + 1]
            row[j + 1] = before + 1 if a[i] == b[j] else 0
            before = above
            if row[j + 1] > best[0]:
                best[0], best[1], best[2] = row[j + 1], i - row[j + 1] + 1, j - row[j + 1] + 1
    return best


@kernel(boolean[::1](U64, U64, int64))
def covered(a: Any, b: Any, least: int) -> Any:
    """Return, shape (m,), which lexemes of *a* stand in a run of at least *least* lexemes that *b* has too."""
    out = np.zeros(a.size, np.bool_)
    row = np.zeros(b.size + 1, np.int64)
    for i in range(a.size):
        before = longest = 0
        for j in range(b.size):
            above = row[j + 1]
            row[j + 1] = before + 1 if a[i] == b[j] else 0
            before = above
            longest = max(longest, row[j + 1])
        if longest >= least:
            out[i - longest + 1 : i + 1] = True
    return out


@kernel(int64(I64, I64))
def edit_distance(a: Any, b: Any) -> int:
    """Return the Levenshtein distance: the fewest insertions, deletions and substitutions from *a* to *b*."""
    row = np.arange(b.size + 1)
    for i in range(a.size):
        before, row[0] = row[0], i + 1
        for j in range(b.size):
            above = row[j + 1]
            row[j + 1] = min(before + (a[i] != b[j]), above + 1, row[j] + 1)
            before = above
    return int(row[b.size])


def edit_similarity(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Return ``1 - distance / max(len(a), len(b))``, 0 to 1; two empty sequences have nothing in common: 0."""
    longest = max(a.size, b.size)
    return 1.0 - edit_distance(a, b) / longest if longest else 0.0


def prefix_match(a: NDArray[np.int64], b: NDArray[np.int64]) -> int:
    """Return how many tokens *a* and *b* begin with in common."""
    n = min(a.size, b.size)
    different = np.flatnonzero(a[:n] != b[:n])
    return int(different[0]) if different.size else n


def bleu4(candidate: NDArray[np.int64], reference: NDArray[np.int64]) -> float:
    """
    Return sentence BLEU-4 of tokens against one reference, 0 to 1, smoothed by method 4 of Chen and Cherry (2014).

    A precision without a match counts ``1 / (2**k * 5 / ln(length))`` of one, where k is how many were without before
    it and itself; nothing in common at all is 0.
    """
    if candidate.size == 0 or reference.size == 0:
        return 0.0
    logs, missing = 0.0, 0
    for n in range(1, 5):
        have, want = _grams(candidate, n), _grams(reference, n)
        matches, total = sum((have & want).values()), max(candidate.size - n + 1, 1)
        if matches == 0:
            if n == 1 or candidate.size < 2:
                return 0.0
            missing += 1
            precision = 1 / (2**missing * 5 / math.log(candidate.size)) / total
        else:
            precision = matches / total
        logs += math.log(precision) / 4
    brevity = min(0.0, 1 - reference.size / candidate.size)
    return math.exp(logs + brevity)


def _grams(tokens: NDArray[np.int64], n: int) -> Counter[bytes]:
    if tokens.size < n:
        return Counter()
    rows = np.lib.stride_tricks.sliding_window_view(tokens, n)
    return Counter(row.tobytes() for row in rows)


def needed_draws(log_probability: float, p: float) -> float:
    """
    Return the smallest n for which n draws give the text at least once with probability *p*: (n, p)-extraction.

    ``1 - (1 - p_z)**n >= p``, so ``n = ceil(ln(1 - p) / ln(1 - p_z))``, with log1p and expm1 where p_z is tiny (Hayes
    and others, 2024).

    Args:
        log_probability: ln p_z of the text under the sampler; minus infinity where it can never come.
        p: above 0, below 1.

    Returns:
        At least 1; infinity where no number of draws is enough.

    >>> needed_draws(math.log(0.5), 0.5), needed_draws(-math.inf, 0.5)
    (1.0, inf)
    """
    if log_probability == -math.inf:
        return math.inf
    if log_probability >= 0:
        return 1.0
    # ln(1 - p_z): expm1 keeps its digits where p_z is near 1, log1p where it is tiny
    p_z = math.exp(log_probability)
    miss = math.log(-math.expm1(log_probability)) if p_z > 0.5 else math.log1p(-p_z)
    if miss == 0.0:
        return math.inf
    return max(1.0, math.ceil(math.log1p(-p) / miss - 1e-12))


def exposure(score: float, controls: NDArray[np.float64]) -> float:
    """
    Return the exposure of a canary in bits, from the scores of *controls* that were never trained on.

    ``p = (1 + #{controls that score at least as high}) / (m + 1)`` and exposure ``-log2 p``, at most ``log2(m + 1)``.
    An untouched model has a mean of ``1 / ln 2 = 1.44`` bits.

    >>> exposure(3.0, np.array([0.0, 1.0, 2.0]))
    2.0
    """
    p = (1 + int((controls >= score).sum())) / (controls.size + 1)
    return -math.log2(p)


@kernel(boolean(U64, U64))
def stands_in(a: Any, b: Any) -> bool:
    """Return True if the lexemes *a* stand in a row in *b*; no lexemes stand everywhere."""
    for j in range(b.size - a.size + 1):
        i = 0
        while i < a.size and a[i] == b[j + i]:
            i += 1
        if i == a.size:
            return True
    return bool(a.size == 0)
