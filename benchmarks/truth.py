"""texts, groups of a program -> what of the true near-duplicates it found, and what it removed without one.

The truth is brute force: the Jaccard similarity of every pair of rows, by a product of sparse matrices. It shares the
lexer with the program that it judges and nothing else: no prefix, no index, no grouping.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from governance.languages.lexer import lex_string

SHINGLE = 5  # lexemes
BLOCK = 400  # rows held against all others at a time


def shingle_sets(texts: list[str]) -> csr_array:
    """Return the distinct shingles of every text as a matrix of ones of shape (texts, shingles)."""
    columns, ends = [], [0]
    for text in texts:
        lexemes = lex_string(text).verbatim
        size = min(SHINGLE, lexemes.size)
        # A short text is one shingle of its own length: the power keeps it apart from five lexemes.
        hashes = np.full(max(lexemes.size - size + 1, 0) if size else 0, np.uint64(size), np.uint64)
        for k in range(size):
            hashes = hashes * np.uint64(0x100000001B3) + lexemes[k : k + hashes.size]
        columns.append(np.unique(hashes))
        ends.append(ends[-1] + columns[-1].size)
    every, codes = np.unique(np.concatenate(columns or [np.zeros(0, np.uint64)]), return_inverse=True)
    ones = np.ones(codes.size, np.int32)
    return csr_array((ones, codes, np.array(ends)), shape=(len(texts), max(1, every.size)))


def true_pairs(texts: list[str], threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return both rows of every pair whose Jaccard similarity is at least *threshold*, the smaller one first."""
    sets = shingle_sets(texts)
    sizes = np.diff(sets.indptr)
    other = sets.T.tocsr()
    limit = Fraction(str(threshold))
    left, right = [], []
    for start in range(0, len(texts), BLOCK):
        common: Any = (sets[start : start + BLOCK] @ other).tocoo()
        a, b = common.row + start, common.col
        union = sizes[a] + sizes[b] - common.data
        reach = (a < b) & (common.data * limit.denominator >= union * limit.numerator)
        left.append(a[reach])
        right.append(b[reach])
    return np.concatenate([*left, []]).astype(np.int64), np.concatenate([*right, []]).astype(np.int64)


@dataclass(frozen=True)
class Quality:
    """
    How good the groups of a program are.

    Attributes:
        recall: of the true pairs, the share of which at most one row is kept.
        precision: of the removed rows, the share with a kept row of the same group that is truly similar.
        missed, wrong: the pairs and rows behind both.
    """

    recall: float
    precision: float
    missed: int
    wrong: int


def judge(kept: list[int], pairs: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Quality:
    """
    Hold the groups of a program against the true pairs.

    >>> judge([0, 0, 2], (np.array([0, 1]), np.array([1, 2])))  # 0-1 and 1-2 are alike; 1 is removed for 0
    Quality(recall=1.0, precision=1.0, missed=0, wrong=0)
    >>> judge([0, 0, 0], (np.array([0, 1]), np.array([1, 2])))  # 2 is removed for 0, which is not like it
    Quality(recall=1.0, precision=0.5, missed=0, wrong=1)
    """
    stays = np.array(kept, np.int64)
    rows = np.arange(stays.size)
    left, right = pairs
    missed = int(((stays[left] == left) & (stays[right] == right)).sum())
    removed = rows[stays != rows]
    true = set(zip(left.tolist(), right.tolist(), strict=True))
    wrong = sum(
        (min(r, k), max(r, k)) not in true for r, k in zip(removed.tolist(), stays[removed].tolist(), strict=True)
    )
    return Quality(1 - missed / max(1, left.size), 1 - wrong / max(1, removed.size), missed, wrong)
