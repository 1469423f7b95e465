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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from governance.dedup.grams import RENAMED
from governance.dedup.join import PARTITION, Pairs, Sets, near_pairs
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

Copies = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.float64]"]
"""Positions of samples, of their witnesses, and their similarity."""


@dataclass(frozen=True)
class RenamedView:
    """
    Some samples in the renamed view, and which of them are near each other.

    Attributes:
        number: shape (samples of the file,), int64; the same for equal renamed lexemes, from 0; -1 for a sample that
            was not asked for or has fewer than `LEAST_LEXEMES`.
        place: per number, where its set stands in *sets*; -1 for fewer than `LEAST_GRAMS` grams.
        sets: the distinct 10-grams, one set for all that are equal.
        pairs: of *sets*, with or without their hot shingles.
    """

    number: NDArray[np.int64]
    place: NDArray[np.int64]
    sets: Sets
    pairs: Pairs


def read_renamed(
    samples: Path,
    wanted: NDArray[np.bool_],
    con: DuckDBPyConnection,
    *,
    threads: int,
    hot: int,
    partition: int = PARTITION,
    work: Path | None = None,
) -> RenamedView:
    """
    Lex the outputs of the *wanted* samples of the IPC file *samples* and join what is near.

    Args:
        wanted: shape (samples of the file,).
        hot: prefixes; see `join.near_pairs`.
        work: folder for the shingles; default: they stand in memory.
    """
    with ThreadPoolExecutor(threads) as pool:
        store = Spool(0, work) if work else None
        pieces = shingle_pieces(read_pieces(samples, wanted, outputs=True), lex_renamed, RENAMED, pool, threads, store)
        keys = np.concatenate([np.empty((0, 2), np.uint64), *(piece.sample_keys for piece in pieces)])
        rows = np.flatnonzero(count_lexemes(pieces) >= LEAST_LEXEMES)
        number = np.full(wanted.size, -1, np.int64)
        number[rows] = number_keys(keys[rows])
        first = np.empty(int(number.max(initial=-1)) + 1, np.int64)
        first[number[rows][::-1]] = rows[::-1]  # the last write stays: the first of the file
        chosen = np.zeros(wanted.size, np.bool_)
        chosen[first] = True
        taken = [chosen[np.repeat(np.arange(p.first, p.last), np.diff(p.text_ends))] for p in pieces]
        hashes, sizes = build(pieces, taken, pool, threads, work)
    del pieces
    large = np.flatnonzero(sizes >= LEAST_GRAMS)
    place = np.full(first.size, -1, np.int64)
    place[number[large]] = np.arange(large.size)
    starts = (np.cumsum(sizes) - sizes)[large]
    sets = Sets(hashes.values, starts, sizes[large], np.empty(0, np.uint64), np.zeros(large.size + 1, np.int64), hashes)
    pairs = near_pairs(sets, con, threshold=THRESHOLD, threads=threads, hot=hot, partition=partition)
    return RenamedView(number, place, sets, pairs)


def choose_copies(view: RenamedView, kept: NDArray[np.int64]) -> Copies:
    """
    Find the renamed copies among *kept*, positions of samples in the order of preference.

    Returns:
        Per renamed copy its position, ascending, that of its witness, and their similarity.
    """
    kept = kept[view.number[kept] >= 0]
    number = view.number[kept]
    own = np.full(view.place.size, kept.size, np.int64)  # per number, the place in `kept` of the first that has it
    own[number[::-1]] = np.arange(kept.size)[::-1]
    rank = np.full(view.sets.sizes.size, kept.size, np.int64)
    has_set = view.place >= 0
    rank[view.place[has_set]] = own[has_set]
    pairs = view.pairs.among(rank < kept.size)
    members = pairs_members(pairs)
    order = members[np.argsort(rank[members])]
    by, value, _, _ = choose_leaders(pairs, view.sets, order, threshold=THRESHOLD)
    witness, similarity = own[number], np.ones(kept.size)
    sets = view.place[number]
    near = sets >= 0
    witness[near], similarity[near] = rank[by[sets[near]]], value[sets[near]]
    copies = np.flatnonzero(witness != np.arange(kept.size))
    copies = copies[np.argsort(kept[copies])]
    return kept[copies], kept[witness[copies]], similarity[copies]


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
