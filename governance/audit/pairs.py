"""flat lexemes of many generations, of their records and prompts -> what each has in common with its own record.

Compiled loops over all pairs at once: nothing here makes a Python object per lexeme, so that matching stays a small
part of an audit. `matching` has the same measures for one pair, in a form that is easily read; tests hold the two
together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float64, int64, void

from governance.kernels import I64, U64, kernel

EDITED = 4096  # lexemes of a text that its edit distance looks at; the time grows with the square


@kernel()
def _ends(a: Any, b: Any, row: Any, out: Any, at: Any) -> None:
    """Write, per lexeme of *a*, how long the longest run is that ends there and stands in *b*, and its end in *b*."""
    row[: b.size + 1] = 0
    for i in range(a.size):
        before = 0
        longest, where = 0, 0
        for j in range(b.size):
            above = row[j + 1]
            if a[i] == b[j]:
                row[j + 1] = before + 1
                if row[j + 1] > longest:
                    longest, where = row[j + 1], j
            else:
                row[j + 1] = 0
            before = above
        out[i], at[i] = longest, where


@kernel(void(U64, I64, I64, U64, I64, I64, U64, I64, I64, I64, I64, int64[:, ::1]))
def own_runs(
    written: Any, written_ends: Any, record_of: Any, records: Any, record_ends: Any, prompt_of: Any, prompts: Any,
    prompt_ends: Any, starts: Any, ends: Any, least: Any, out: Any,
) -> None:  # fmt: skip
    """
    Find the runs of lexemes that each generation has in common with its record and not, as a whole, with its prompt.

    A run that ends at a lexeme counts if the prompt has no run as long that ends there too. What a model repeats from
    its question, or from the words of a template, it was shown and has not learned.

    Args:
        written, written_ends: lexemes of n generations; those of g stand from ``written_ends[g]`` to ``[g + 1]``.
        record_of, prompt_of: shape (n,): the record and the prompt of each.
        starts, ends: per lexeme of *written*, its characters once white space is collapsed.
        least: k values, ascending.
        out: shape (n, 4 + k). Length of the longest run, its start in the generation and in the record, the characters
            of the run that has most; then per value of *least* the lexemes that stand in runs of at least that length.
    """
    longest = widest = 1
    for g in range(written_ends.size - 1):
        longest = max(longest, written_ends[g + 1] - written_ends[g])
    for r in range(record_ends.size - 1):
        widest = max(widest, record_ends[r + 1] - record_ends[r])
    for p in range(prompt_ends.size - 1):
        widest = max(widest, prompt_ends[p + 1] - prompt_ends[p])
    row = np.zeros(widest + 1, np.int64)
    mine, given = np.zeros(longest, np.int64), np.zeros(longest, np.int64)
    where, nowhere = np.zeros(longest, np.int64), np.zeros(longest, np.int64)
    for g in range(written_ends.size - 1):
        first, last = written_ends[g], written_ends[g + 1]
        own = written[first:last]
        r, p = record_of[g], prompt_of[g]
        _ends(own, records[record_ends[r] : record_ends[r + 1]], row, mine, where)
        _ends(own, prompts[prompt_ends[p] : prompt_ends[p + 1]], row, given, nowhere)
        for k in range(4 + least.size):
            out[g, k] = 0
        for i in range(own.size):
            size = mine[i]
            if size <= given[i]:
                continue
            if size > out[g, 0]:
                out[g, 0], out[g, 1], out[g, 2] = size, i - size + 1, where[i] - size + 1
            out[g, 3] = max(out[g, 3], ends[first + i] - starts[first + i - size + 1])
        for k in range(least.size):
            reach = own.size  # what stands from here on was counted
            for i in range(own.size - 1, -1, -1):
                size = mine[i]
                if size > given[i] and size >= least[k]:
                    begin = i - size + 1
                    if begin < reach:
                        out[g, 4 + k] += min(i + 1, reach) - begin
                        reach = begin


@kernel()
def _grams(values: Any, n: int) -> Any:
    """Hash every n values in a row; sorted."""
    count = max(values.size - n + 1, 0)
    out = np.zeros(count, np.uint64)
    for i in range(count):
        h = np.uint64(n)
        for k in range(n):
            h = (h ^ values[i + k]) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(32)
        out[i] = h
    out.sort()
    return out


@kernel()
def _shared(a: Any, b: Any) -> Any:
    """Return (values in both, counted as often as in the one that has fewer; distinct in both; distinct in either)."""
    i = j = both = distinct = either = 0
    while i < a.size or j < b.size:
        if j >= b.size or (i < a.size and a[i] < b[j]):
            value = a[i]
        else:
            value = b[j]
        one = other = 0
        while i < a.size and a[i] == value:
            i, one = i + 1, one + 1
        while j < b.size and b[j] == value:
            j, other = j + 1, other + 1
        both += min(one, other)
        distinct += int(one > 0 and other > 0)
        either += 1
    return both, distinct, either


@kernel()
def _distance(a: Any, b: Any, row: Any) -> Any:
    """The Levenshtein distance, as `matching.edit_distance`."""
    for j in range(b.size + 1):
        row[j] = j
    for i in range(a.size):
        before = row[0]
        row[0] = i + 1
        for j in range(b.size):
            above = row[j + 1]
            row[j + 1] = min(before + int(a[i] != b[j]), min(above, row[j]) + 1)
            before = above
    return row[b.size]


@kernel(void(U64, I64, U64, I64, float64[:, ::1]))
def similar(written: Any, written_ends: Any, wanted: Any, wanted_ends: Any, out: Any) -> None:
    """
    Compare each generation with what its record goes on with.

    Args:
        out: shape (n, 6). Matching 1- to 4-grams, each counted as often as both have it; Jaccard of 5-grams, 0 where
            one has none; edit similarity of the first 4,096 lexemes.
    """
    row = np.zeros(EDITED + 1, np.int64)
    for g in range(written_ends.size - 1):
        a = written[written_ends[g] : written_ends[g + 1]]
        b = wanted[wanted_ends[g] : wanted_ends[g + 1]]
        for n in range(1, 5):
            out[g, n - 1] = _shared(_grams(a, n), _grams(b, n))[0]
        _, distinct, either = _shared(_grams(a, 5), _grams(b, 5))
        out[g, 4] = distinct / either if either and a.size >= 5 and b.size >= 5 else 0.0
        a, b = a[:EDITED], b[:EDITED]
        most = max(a.size, b.size)
        out[g, 5] = 1.0 - _distance(a, b, row) / most if most else 0.0


@kernel(int64(U64, I64, I64, I64, int64[:, ::1], I64))
def hash_lines(lexemes: Any, line_of: Any, starts: Any, ends: Any, out: Any, text_of: Any) -> int:
    """
    Hash the lines of texts; a line without a lexeme is none.

    Args:
        line_of: number of the line of each lexeme, ascending over all texts; no line holds lexemes of two texts.
        starts, ends: of each lexeme, in characters.
        text_of: the text of each lexeme.
        out: shape (lines or more, 4). Hash of the line's lexemes as a signed number, lexemes, characters from the first
            to the last, text.

    Returns:
        How many lines there are.
    """
    used = 0
    i = 0
    while i < lexemes.size:
        h = np.uint64(0)
        first = i
        while i < lexemes.size and line_of[i] == line_of[first]:
            h = (h ^ lexemes[i]) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
            i += 1
        out[used, 0] = np.int64(h)
        out[used, 1], out[used, 2], out[used, 3] = i - first, ends[i - 1] - starts[first], text_of[first]
        used += 1
    return used


@kernel(void(I64, I64, I64, I64, I64, I64, I64, I64, I64, int64[:, ::1]))
def own_lines(
    written: Any, written_ends: Any, telling: Any, record_of: Any, records: Any, record_ends: Any, prompt_of: Any,
    prompts: Any, prompt_ends: Any, out: Any,
) -> None:  # fmt: skip
    """
    Count the lines of each generation that its record has and its prompt has not.

    Args:
        written, records, prompts: hashes of lines.
        telling: 1 for lines of *written* that say something; only those are counted.
        out: shape (n, 3). Telling lines, those of them found, and the longest row of found lines; a line that says
            nothing (a bracket) neither ends such a row nor counts.
    """
    for g in range(written_ends.size - 1):
        r, p = record_of[g], prompt_of[g]
        out[g, 0] = out[g, 1] = out[g, 2] = 0
        row = 0
        for i in range(written_ends[g], written_ends[g + 1]):
            if not telling[i]:
                continue
            found = False
            for j in range(record_ends[r], record_ends[r + 1]):
                found = found or records[j] == written[i]
            for j in range(prompt_ends[p], prompt_ends[p + 1]):
                found = found and prompts[j] != written[i]
            out[g, 0] += 1
            out[g, 1] += int(found)
            row = row + 1 if found else 0
            out[g, 2] = max(out[g, 2], row)
