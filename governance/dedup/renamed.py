"""kept samples -> those whose code another kept one has with other names, numbers and strings.

What is compared
    The outputs alone, and of them those in a programming language: prompts are asked, not taught, and in prose nothing
    folds. The renamed view of a text leaves out comments and docstrings (see `governance.languages.lexer`).

Kinds
    *Type 2*: equal renamed lexemes. *Near*: J over the distinct renamed 10-grams of at least 0.9, both samples with at
    least 40 of them. Both are reported as kind *renamed*, with J as similarity.
    Code of fewer than 20 renamed lexemes is left out: ``def ID(ID): return ID.ID`` stands in every code base and says
    nothing about copying. One changed lexeme costs up to ten of the 10-grams, so with fewer than 40 of them nothing
    but type 2 reaches 0.9.

Who is reported
    Only samples that the verbatim view keeps, in its order: a sample is a renamed copy if and only if it is one of a
    kept sample that is itself no renamed copy. Every row names that sample as its witness.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from governance.dedup.arrays import distinct
from governance.dedup.grams import RENAMED
from governance.dedup.join import PARTITION, Sets, near_pairs
from governance.dedup.leaders import choose_leaders, pairs_members
from governance.dedup.sets import build, count_lexemes, number_keys, shingle_pieces
from governance.dedup.spool import Spool
from governance.dedup.texts import Piece, gather, read_pieces
from governance.languages.detect import language_ids
from governance.languages.lexer import lex_texts

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

LEAST_LEXEMES = 20  # renamed lexemes of a type-2 copy
LEAST_GRAMS = 40  # distinct renamed 10-grams of a near one
THRESHOLD = 0.9


def find_renamed(
    samples: Path,
    kept: NDArray[np.int64],
    con: DuckDBPyConnection,
    *,
    count: int,
    threads: int,
    hot: int,
    partition: int = PARTITION,
    work: Path | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """
    Find the renamed copies among *kept*, positions in the IPC file *samples* of *count* samples.

    Args:
        kept: in the order of preference.
        work: folder for the shingles; default: they stand in memory.

    Returns:
        Per renamed copy its position, ascending, that of its witness, and their similarity.
    """
    rank = np.full(count, count, np.int64)
    rank[kept] = np.arange(kept.size)
    with ThreadPoolExecutor(threads) as pool:
        store = Spool(0, work) if work else None
        pieces = shingle_pieces(
            read_pieces(samples, rank < count, outputs=True), lex_renamed, RENAMED, pool, threads, store
        )
        keys = np.concatenate([np.empty((0, 2), np.uint64), *(piece.sample_keys for piece in pieces)])
        rows = np.flatnonzero(count_lexemes(pieces) >= LEAST_LEXEMES)
        number = number_keys(keys[rows])
        by_rank = np.lexsort((rank[rows], number))
        first = np.ones(rows.size, np.bool_)
        first[1:] = number[by_rank[1:]] != number[by_rank[:-1]]
        same = np.empty(rows.size, np.int64)  # of each row the place in `rows` of the first with equal lexemes
        same[by_rank] = by_rank[first][np.cumsum(first) - 1]
        chosen = np.zeros(count, np.bool_)
        chosen[rows[distinct(same)]] = True
        taken = [chosen[np.repeat(np.arange(p.first, p.last), np.diff(p.text_ends))] for p in pieces]
        hashes, sizes = build(pieces, taken, pool, threads, work)
    del pieces
    large = np.flatnonzero(sizes >= LEAST_GRAMS)
    starts = (np.cumsum(sizes) - sizes)[large]
    sets = Sets(hashes.values, starts, sizes[large], np.empty(0, np.uint64), np.zeros(large.size + 1, np.int64), hashes)
    pairs = near_pairs(sets, con, threshold=THRESHOLD, threads=threads, hot=hot, partition=partition)
    members = pairs_members(pairs)
    order = members[np.argsort(rank[large[members]])]
    by, value, _, _ = choose_leaders(pairs, sets, order, threshold=THRESHOLD)
    witness, similarity = np.arange(count), np.ones(count)
    witness[large], similarity[large] = large[by], value
    own = rows[same]  # of each row the sample with equal lexemes that comes first
    witness[rows], similarity[rows] = witness[own], similarity[own]
    copies = np.sort(rows[witness[rows] != rows])
    return copies, witness[copies], similarity[copies]


def lex_renamed(piece: Piece) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Lex the renamed view of the texts of *piece* in a programming language; the others have no lexemes."""
    owner = np.repeat(np.arange(piece.last - piece.first), np.diff(piece.sample_ends))
    languages = language_ids(*piece.named(owner), piece.data, piece.ends)
    code = languages != 0
    data, ends = gather(piece.data, piece.ends, code)
    found = lex_texts(data, ends, languages[code], renamed=True, places=False)
    counts = np.zeros(code.size, np.int64)
    counts[code] = np.diff(found.text_ends)
    return found.renamed, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
