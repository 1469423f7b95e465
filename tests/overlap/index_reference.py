"""Common runs by brute force, and small ways to make an index; shared by the tests of the source index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from governance.languages.lexer import lex_string
from governance.overlap.lookup import SourceIndex
from governance.overlap.write import IndexWriter, NewSource

Run = tuple[int, int, int, int]  # start and end byte in the query, in the source


def make_index(folder: Path, texts: Sequence[str], language: str = "python", **settings: Any) -> SourceIndex:
    """An index with one source per text, called by its number."""
    with IndexWriter(folder, **settings) as writer:
        for number, text in enumerate(texts):
            writer.add(NewSource((("", text.encode(), language),), path=f"{number}"))
    return SourceIndex.open(folder, settings.get("key"))


def lexemes(text: str, view: str, language: str) -> list[tuple[int, int, int]]:
    """(hash, start, end) of the lexemes of a view."""
    found = lex_string(text, language)
    rows = zip(getattr(found, view).tolist(), found.starts.tolist(), found.ends.tolist(), strict=True)
    return [row for row in rows if row[0]]


def brute_runs(query: str, source: str, view: str, least: int, language: str = "python") -> list[Run]:
    """Maximal common runs of at least *least* lexemes, but for those inside another; of equal ones the first."""
    a, b = lexemes(query, view, language), lexemes(source, view, language)
    runs: list[tuple[int, int, int, int]] = []
    values = np.array([row[0] for row in b], np.uint64)
    before = np.zeros(len(b) + 1, np.int64)  # per j, how many lexemes up to a[i - 1] and b[j - 1] are equal
    for i in range(len(a) + 1):
        row = np.zeros(len(b) + 1, np.int64)
        if i < len(a):
            row[1:] = np.where(values == np.uint64(a[i][0]), before[:-1] + 1, 0)
        grown = np.append(row[1:], 0) == before + 1
        for j in np.flatnonzero((before >= least) & ~grown).tolist():
            length = int(before[j])
            runs.append((i - length, i, j - length, j))
        before = row
    outer: list[tuple[int, int, int, int]] = []
    for run in sorted(runs, key=lambda r: (r[0], -r[1], r[2])):
        if not outer or run[1] > max(r[1] for r in outer):
            outer.append(run)
    return [(a[r[0]][1], a[r[1] - 1][2], b[r[2]][1], b[r[3] - 1][2]) for r in outer]


def found_runs(runs: pa.Table, view: str, source: int, text: int = 0) -> list[Run]:
    """The runs of one query text with one source, in the order of their starts."""
    names = ("start", "end", "source_start", "source_end")
    return [
        tuple(r[n] for n in names)  # type: ignore[misc]
        for r in runs.to_pylist()
        if (r["view"], r["source"], r["text"]) == (view, source, text)
    ]
