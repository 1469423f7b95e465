"""places where grams of a query stand in a segment -> maximal common runs.

A place is a hint. First it is grown over the half bytes that the index keeps of every lexeme, which costs next to
nothing and shows how far a common run can reach at most. Of what can be long enough the source is then lexed again, in
the blocks around it, and compared lexeme by lexeme: what is reported is equal, whatever a hash did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from governance.errors import SourceIndexError
from governance.languages.lexer import lex_texts
from governance.overlap.index import Segment
from governance.overlap.winnow import K, W, equal_stretches, gather, grow_hints, view_lexemes

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


class Runs(NamedTuple):
    """
    Common runs of a query and one segment, all of shape (r,).

    Attributes:
        text: of the query.
        at: first lexeme of the run in the query.
        lexemes: its length.
        source_text: number of the text in the segment.
        place: first lexeme of the run in the segment.
        start, end: bytes of the segment's text.bin; -1 in a keyed index, and so are the lines.
        line, end_line: of the source text, from 1.
    """

    text: NDArray[np.int64]
    at: NDArray[np.int64]
    lexemes: NDArray[np.int64]
    source_text: NDArray[np.int64]
    place: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    line: NDArray[np.int64]
    end_line: NDArray[np.int64]

    def where(self, chosen: NDArray[Any]) -> Runs:
        """Return the runs at *chosen*: positions, or a mask."""
        return Runs(*(column[chosen] for column in self))


NO_RUNS = Runs(*(np.empty(0, np.int64) for _ in Runs._fields))


def join_runs(found: list[Runs]) -> Runs:
    """Return all runs of one segment, each once."""
    if len(found) < 2:
        return found[0] if found else NO_RUNS
    runs = Runs(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
    keys = np.stack([runs.text, runs.at, runs.place, runs.lexemes])
    return runs.where(np.unique(keys, axis=1, return_index=True)[1])


def find_runs(
    segment: Segment, view: str, query: Query, text: NDArray[np.int64], at: NDArray[np.int64],
    place: NDArray[np.int64], least: int,
) -> Runs:  # fmt: skip
    """
    Return the maximal runs around the hints (query text, its lexeme, lexeme of the segment), each once.

    Args:
        least: shorter runs are left out, unless they are the whole of a source text.
    """
    ends = segment.view_ends[view]
    source_text = np.searchsorted(ends, place, "right") - 1
    order = np.lexsort((at, place - at, source_text, text))
    grown = np.empty((5, at.size), np.int64)
    used = grow_hints(
        query.values, query.ends, segment.halves[view], ends,
        text[order], source_text[order], at[order], place[order], least, grown,
    )  # fmt: skip
    grown = grown[:, :used]
    return join_runs(
        [_compare(segment, view, query, grown[:, k : k + SLICE], least) for k in range(0, grown.shape[1], SLICE)]
    )


def _compare(segment: Segment, view: str, query: Query, grown: NDArray[np.int64], least: int) -> Runs:
    """Lex the blocks of what was grown, and return the runs that are equal in it."""
    text, source_text, at, length, place = (np.ascontiguousarray(row) for row in grown)
    before = segment.block_lexemes[view]
    first = np.searchsorted(before, place, "right") - 1
    last = np.searchsorted(before, place + length - 1, "right") - 1
    count = last - first + 1
    every = np.arange(int(count.sum())) + np.repeat(first - (np.cumsum(count) - count), count)
    blocks = np.unique(every)
    low, high = segment.blocks[blocks], np.append(segment.blocks, segment.data.size)[blocks + 1]
    offsets = np.concatenate([[0], np.cumsum(high - low)]).astype(np.int64)
    data = np.empty(int(offsets[-1]), np.uint8)
    gather(segment.data, low, high, offsets[:-1], data)
    spoken = segment.languages[np.searchsorted(segment.starts, low, "right") - 1]
    lexed = lex_texts(data, offsets, spoken, renamed=view == "renamed")
    numbers = np.arange(lexed.verbatim.size, dtype=np.int64)
    values, numbers, piece_ends = view_lexemes(getattr(lexed, view), numbers, lexed.text_ends)
    if (np.diff(piece_ends) != np.append(before, segment.view_ends[view][-1])[blocks + 1] - before[blocks]).any():
        raise SourceIndexError(f"{segment.folder}: its parts do not fit each other; build the index again")
    piece = np.searchsorted(blocks, first)
    to = piece_ends[piece] + place - before[first]
    sizes = np.diff(segment.view_ends[view])[source_text]
    out = np.empty((3, int((length // min(least, K) + 1).sum())), np.int64)
    used = equal_stretches(query.values, at, values, to, length, sizes, least, out)
    pair, skip, size = out[:, :used]
    begin, end = numbers[to[pair] + skip], numbers[to[pair] + skip + size - 1]
    newlines = np.flatnonzero(data == ord("\n"))
    places = []
    for offset, inclusive in ((lexed.starts[begin], 0), (lexed.ends[end], 1)):
        of = np.searchsorted(offsets, offset - inclusive, "right") - 1
        line = (
            segment.block_lines[blocks[of]] + np.searchsorted(newlines, offset) - np.searchsorted(newlines, offsets[of])
        )
        places.append((offset - offsets[of] + low[of], line))
    return Runs(
        text[pair], at[pair] + skip, size.copy(), source_text[pair], place[pair] + skip,
        places[0][0], places[1][0], places[0][1], places[1][1],
    )  # fmt: skip


def chain_places(
    segment: Segment, view: str, text: NDArray[np.int64], at: NDArray[np.int64], place: NDArray[np.int64]
) -> Runs:
    """
    Return what a keyed index knows of common runs: from the first to the last fingerprint that both have.

    Fingerprints of one run lie on one diagonal, and at most W grams apart. The run itself is up to W - 1 lexemes longer
    on either side, or exactly what is said; nothing more can be told without the text.
    """
    ends = segment.view_ends[view]
    source_text = np.searchsorted(ends, place, "right") - 1
    order = np.lexsort((at, place - at, source_text, text))
    text, at, place, source_text = text[order], at[order], place[order], source_text[order]
    new = np.ones(at.size, np.bool_)
    new[1:] = (
        (text[1:] != text[:-1])
        | (source_text[1:] != source_text[:-1])
        | (place[1:] - at[1:] != place[:-1] - at[:-1])
        | (at[1:] - at[:-1] > W)
    )
    first = np.flatnonzero(new)
    last = np.concatenate([first[1:], [at.size]]) - 1 if at.size else first
    size = np.minimum(np.diff(ends)[source_text[first]], K)  # a shorter source is one fingerprint, the whole
    none = np.full(first.size, -1, np.int64)
    return Runs(
        text[first], at[first], at[last] - at[first] + size, source_text[first], place[first], none, none, none, none
    )
