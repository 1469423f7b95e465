"""places where grams of a query stand in a segment -> maximal common runs.

A place is a hint. First it is grown over the half bytes that the index keeps of every lexeme, which costs next to
nothing and shows how far a common run can reach at most. Of what can be long enough, and is to be shown, the source is
then lexed again, in the blocks around it, and compared lexeme by lexeme: what is reported is equal, whatever a hash
did. Blocks with the same bytes, as copies of a file have them, are lexed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import int64, uint64, void

from governance.errors import SourceIndexError
from governance.kernels import I32, I64, U8, U64, kernel
from governance.languages.lexer import lex_texts
from governance.overlap.index import Segment
from governance.overlap.winnow import K, W, equal_stretches, gather, grow_places, list_places

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLICE = 4096  # grown hints whose blocks are lexed together


class Query(NamedTuple):
    """
    The lexemes of the texts that are looked up, in one view.

    Attributes:
        values: shape (m,), hashes, none of them 0.
        ends: shape (n + 1,): text j has ``values[ends[j]:ends[j + 1]]``.
    """

    values: NDArray[np.uint64]
    ends: NDArray[np.int64]


class Hints(NamedTuple):
    """
    Grown places, all of shape (h,): no common run around them reaches further.

    Attributes:
        segment: number of the segment.
        text: of the query.
        source_text: number of the text in the segment.
        at: first lexeme in the query.
        lexemes: length.
        place: first lexeme in the segment.
        source: number of the source in the index.
    """

    segment: NDArray[np.int64]
    text: NDArray[np.int64]
    source_text: NDArray[np.int64]
    at: NDArray[np.int64]
    lexemes: NDArray[np.int64]
    place: NDArray[np.int64]
    source: NDArray[np.int64]

    def where(self, chosen: NDArray[Any]) -> Hints:
        """Return the hints at *chosen*: positions, or a mask."""
        return Hints(*(column[chosen] for column in self))


class Runs(NamedTuple):
    """
    Common runs of a query and an index, all of shape (r,); the first seven columns are those of `Hints`.

    Attributes:
        whole: 1 where the run is all of the source text.
        start, end: bytes of the source text; -1 in a keyed index, and so are the lines.
        line, end_line: of the source text, from 1.
    """

    segment: NDArray[np.int64]
    text: NDArray[np.int64]
    source_text: NDArray[np.int64]
    at: NDArray[np.int64]
    lexemes: NDArray[np.int64]
    place: NDArray[np.int64]
    source: NDArray[np.int64]
    whole: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    line: NDArray[np.int64]
    end_line: NDArray[np.int64]

    def where(self, chosen: NDArray[Any]) -> Runs:
        """Return the runs at *chosen*: positions, or a mask."""
        return Runs(*(column[chosen] for column in self))


NO_RUNS = Runs(*(np.empty(0, np.int64) for _ in Runs._fields))
NO_HINTS = Hints(*(np.empty(0, np.int64) for _ in Hints._fields))


def join_runs(found: list[Runs]) -> Runs:
    """Return all runs, each once."""
    found = [runs for runs in found if runs.at.size]
    if not found:
        return NO_RUNS
    runs = Runs(*(np.concatenate(columns) for columns in zip(*found, strict=True))) if len(found) > 1 else found[0]
    new = _first_of_equal(runs.segment, runs.place, runs.at, runs.lexemes)
    return runs if new.size == runs.at.size else runs.where(new)


def join_hints(found: list[Hints], known: Hints = NO_HINTS) -> Hints:
    """Return all hints that are not among the *known* ones, each once."""
    found = [hints for hints in (known, *found) if hints.at.size]
    if not found:
        return NO_HINTS
    hints = Hints(*(np.concatenate(columns) for columns in zip(*found, strict=True))) if len(found) > 1 else found[0]
    new = _first_of_equal(hints.segment, hints.place, hints.at, hints.lexemes)
    return hints.where(new[np.searchsorted(new, known.at.size) :])


def _first_of_equal(*keys: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.lexsort(keys)
    new = np.zeros(order.size, np.bool_)
    new[0] = True
    for key in keys:
        new[1:] |= key[order[1:]] != key[order[:-1]]
    return np.sort(order[new])


def find_hints(
    segment: Segment, number: int, view: str, query: Query, at: NDArray[np.int64], low: NDArray[np.int64],
    sizes: NDArray[np.int64], least: int,
) -> Hints:  # fmt: skip
    """
    Return the grown places of grams of the query.

    Args:
        at: first lexeme of each gram, ascending.
        low, sizes: which entries of the segment's fingerprints are looked at.
        least: shorter ones are left out, unless they are the whole of a source text.
    """
    pairs = np.empty((2, int(sizes.sum())), np.int64)
    list_places(at, low, sizes, segment.fingerprints[view].places, pairs)
    grown = np.empty((5, pairs.shape[1]), np.int64)
    used = grow_places(query.values, query.ends, segment.halves[view], segment.view_ends[view], pairs, least, grown)
    text, source_text, first, length, place = (row[:used].copy() for row in grown)
    source = segment.source_of[source_text] + segment.first
    return Hints(np.full(used, number), text, source_text, first, length, place, source)


def prove_hints(segments: Any, view: str, query: Query, hints: Hints, least: int) -> Runs:
    """Return the maximal runs of at least *least* lexemes, or of a whole source text, that are equal in *hints*."""
    found = []
    for number, segment in enumerate(segments):
        mine = np.flatnonzero(hints.segment == number)
        for k in range(0, mine.size, SLICE):
            found.append(_compare(segment, view, query, hints.where(mine[k : k + SLICE]), least))
    return join_runs(found)


@kernel(void(U8, I64, I64, U8, int64[::1]))
def _twins(data: Any, low: Any, high: Any, spoken: Any, out: Any) -> None:
    """Write per piece ``data[low:high]`` the first one that has the same bytes and language; mostly itself."""
    size = 16
    while size < 2 * low.size:
        size *= 2
    table, keys = np.full(size, -1, np.int64), np.empty(low.size, np.uint64)
    for i in range(low.size):
        key = uint64(1469598103934665603) ^ uint64(spoken[i])
        for k in range(low[i], high[i]):
            key = (key ^ uint64(data[k])) * uint64(1099511628211)
        keys[i] = key
        slot = int64((key ^ (key >> uint64(32))) & uint64(size - 1))
        out[i] = i
        while table[slot] >= 0:
            j = table[slot]
            if keys[j] == key and high[j] - low[j] == high[i] - low[i] and spoken[j] == spoken[i]:
                k = 0
                while k < high[i] - low[i] and data[low[i] + k] == data[low[j] + k]:
                    k += 1
                if k == high[i] - low[i]:
                    out[i] = j
                    break
            slot = (slot + 1) & (size - 1)
        if out[i] == i:
            table[slot] = i


@kernel(int64(U64, I32, I32, I64, I64, I64, uint64[::1], int64[:, ::1], int64[::1]))
def _lay_out(
    values: Any, starts: Any, ends: Any, text_ends: Any, offsets: Any, twins: Any, out: Any, places: Any, out_ends: Any
) -> int:
    """
    Write the lexemes of all pieces, one after another, without zeros, and their bytes in their piece.

    Args:
        values, starts, ends, text_ends: lexemes of the pieces that were lexed, which start at *offsets*.
        twins: per piece, which of those has its bytes.
        out, places: filled; *places* has the shape (2, lexemes).
        out_ends: filled: where the lexemes of each piece end.

    Returns:
        How many there are.
    """
    used = 0
    for i in range(twins.size):
        piece = twins[i]
        for k in range(text_ends[piece], text_ends[piece + 1]):
            if values[k] != 0:
                out[used] = values[k]
                places[0, used], places[1, used] = starts[k] - offsets[piece], ends[k] - offsets[piece]
                used += 1
        out_ends[i + 1] = used
    return used


@kernel(void(U8, I64, I64, I64, int64[:, ::1], I64, I64, int64[:, ::1]))
def _locate(
    data: Any, low: Any, lines: Any, piece_ends: Any, places: Any, first: Any, last: Any, out: Any
) -> None:  # fmt: skip
    """
    Write per run where it starts and ends in *data*, and the lines of both.

    Args:
        low, lines: where each piece starts, and its line.
        piece_ends, places: what `_lay_out` wrote.
        first, last: lexemes of each run in it.
    """
    for i in range(first.size):
        for side in range(2):
            lexeme = last[i] if side else first[i]
            a, b = 0, piece_ends.size - 2
            while a < b:
                middle = (a + b) >> 1
                if piece_ends[middle + 1] <= lexeme:
                    a = middle + 1
                else:
                    b = middle
            offset = low[a] + places[side, lexeme]
            line = lines[a]
            for k in range(low[a], offset):
                line += data[k] == 10
            out[side, i], out[2 + side, i] = offset, line


def _compare(segment: Segment, view: str, query: Query, hints: Hints, least: int) -> Runs:
    """Lex the blocks of what was grown, and return the runs that are equal in it."""
    before = segment.block_lexemes[view]
    first = np.searchsorted(before, hints.place, "right") - 1
    last = np.searchsorted(before, hints.place + hints.lexemes - 1, "right") - 1
    count = last - first + 1
    every = np.arange(int(count.sum())) + np.repeat(first - (np.cumsum(count) - count), count)
    blocks = np.unique(every)
    low, high = segment.blocks[blocks], segment.block_ends[blocks]
    spoken = segment.languages[np.searchsorted(segment.starts, low, "right") - 1]
    if view == "verbatim":
        spoken = np.zeros_like(spoken)  # the lexemes of this view are the same in every language
    values, places, piece_ends = _lex_pieces(segment, view, low, high, spoken)
    if (np.diff(piece_ends) != before[blocks + 1] - before[blocks]).any():
        raise SourceIndexError(f"{segment.folder}: its parts do not fit each other; build the index again")
    to = piece_ends[np.searchsorted(blocks, first)] + hints.place - before[first]
    ends = segment.view_ends[view]
    sizes = ends[hints.source_text + 1] - ends[hints.source_text]
    out = np.empty((3, int((hints.lexemes // min(least, K) + 1).sum())), np.int64)
    used = equal_stretches(query.values, hints.at, values, to, hints.lexemes, sizes, least, out)
    pair, skip, size = out[:, :used]
    where = np.empty((4, used), np.int64)
    begin = to[pair] + skip
    _locate(segment.data, low, segment.block_lines[blocks], piece_ends, places, begin, begin + size - 1, where)
    own = segment.starts[hints.source_text[pair]]
    return Runs(
        hints.segment[pair], hints.text[pair], hints.source_text[pair], hints.at[pair] + skip, size.copy(),
        hints.place[pair] + skip, hints.source[pair], (size == sizes[pair]).astype(np.int64),
        where[0] - own, where[1] - own, where[2], where[3],
    )  # fmt: skip


def _lex_pieces(
    segment: Segment, view: str, low: NDArray[np.int64], high: NDArray[np.int64], spoken: NDArray[np.uint8]
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the hashes of one view of some pieces of text.bin, their bytes (2, m), and where each piece ends."""
    twins = np.empty(low.size, np.int64)
    _twins(segment.data, low, high, spoken, twins)
    own, twins = np.unique(twins, return_inverse=True)
    offsets = np.concatenate([[0], np.cumsum(high[own] - low[own])]).astype(np.int64)
    data = np.empty(int(offsets[-1]), np.uint8)
    gather(segment.data, low[own], high[own], offsets[:-1], data)
    lexed = lex_texts(data, offsets, spoken[own], renamed=view == "renamed")
    room = int(np.diff(lexed.text_ends)[twins].sum())
    values, places, ends = np.empty(room, np.uint64), np.empty((2, room), np.int64), np.zeros(low.size + 1, np.int64)
    lexemes = lexed.renamed if view == "renamed" else lexed.verbatim
    _lay_out(lexemes, lexed.starts, lexed.ends, lexed.text_ends, offsets, twins.astype(np.int64), values, places, ends)
    return values, places, ends


def chain_places(
    segment: Segment, number: int, view: str, query: Query, at: NDArray[np.int64], low: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> Runs:  # fmt: skip
    """
    Return what a keyed index knows of common runs: from the first to the last fingerprint that both have.

    Fingerprints of one run lie on one diagonal, and at most W grams apart. The run itself is up to W - 1 lexemes longer
    on either side, or exactly what is said; nothing more can be told without the text. Arguments as for `find_hints`.
    """
    pairs = np.empty((2, int(sizes.sum())), np.int64)
    list_places(at, low, sizes, segment.fingerprints[view].places, pairs)
    lexeme, place = pairs
    ends = segment.view_ends[view]
    source_text = np.searchsorted(ends, place, "right") - 1
    text = np.searchsorted(query.ends, lexeme, "right") - 1
    new = np.ones(lexeme.size, np.bool_)
    new[1:] = (
        (text[1:] != text[:-1])
        | (source_text[1:] != source_text[:-1])
        | (place[1:] - lexeme[1:] != place[:-1] - lexeme[:-1])
        | (lexeme[1:] - lexeme[:-1] > W)
    )
    first = np.flatnonzero(new)
    last = np.concatenate([first[1:], [lexeme.size]]) - 1 if lexeme.size else first
    whole = (ends[source_text + 1] - ends[source_text])[first]
    length = lexeme[last] - lexeme[first] + np.minimum(whole, K)  # a shorter source is one fingerprint, the whole
    source_text, none = source_text[first], np.full(first.size, -1, np.int64)
    return Runs(
        np.full(first.size, number), text[first], source_text, lexeme[first], length, place[first],
        segment.source_of[source_text] + segment.first, (length == whole).astype(np.int64), none, none, none, none,
    )  # fmt: skip
