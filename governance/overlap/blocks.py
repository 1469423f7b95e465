"""lexed texts -> places from which they can be lexed again, piece by piece, to the same lexemes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import boolean, int64, void

from governance.kernels import I32, I64, U8, U64, kernel
from governance.languages.lexer import IDENTIFIER, KEYWORD, Lexemes, lex_texts
from governance.overlap.winnow import gather

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 2 << 10  # bytes; a longer text can be lexed from places about this far from each other
_TRIES = 60  # lexemes looked at for the start of a block
_ROUNDS = 5


@kernel(int64(U8, I64, I32, I32, U8, U64, I64, int64[::1]))
def _propose(
    data: Any, offsets: Any, starts: Any, ends: Any, kinds: Any, renamed: Any, text_ends: Any, out: Any
) -> int:
    """
    Write the first name or keyword that starts a line after every BLOCK bytes of each long text; return how many.

    One at the margin of the page is preferred: it is seldom inside brackets.
    """
    used = 0
    for text in range(offsets.size - 1):
        if offsets[text + 1] - offsets[text] <= 2 * BLOCK:
            continue
        target = offsets[text] + BLOCK
        left, choice = _TRIES, -1
        for i in range(text_ends[text] + 1, text_ends[text + 1]):
            if starts[i] < target:
                continue
            at = starts[i]
            if target > offsets[text + 1] - BLOCK // 2:
                break
            margin = data[at - 1] == 10
            leading = margin
            k = at - 1
            while not leading and k >= ends[i - 1]:
                leading = data[k] == 10
                k -= 1
            if leading and renamed[i] != 0 and (kinds[i] == IDENTIFIER or kinds[i] == KEYWORD):
                if margin:
                    choice, left = at, 0
                elif choice < 0:
                    choice = at
            left -= 1
            if left <= 0:
                if choice >= 0:
                    out[used] = choice
                    used += 1
                target = max(target, choice) + BLOCK
                left, choice = _TRIES, -1
    return used


@kernel(void(U64, U64, I64, I64, U64, U64, I64, boolean[::1]))
def _differ(
    verbatim: Any, renamed: Any, first: Any, last: Any, own: Any, own_renamed: Any, own_ends: Any, out: Any
) -> None:
    """Write per piece whether the lexemes *first* to *last* of the whole are not its own."""
    for i in range(first.size):
        at, size = own_ends[i], own_ends[i + 1] - own_ends[i]
        out[i] = size != last[i] - first[i]
        k = 0
        while k < size and not out[i]:
            out[i] = verbatim[first[i] + k] != own[at + k] or renamed[first[i] + k] != own_renamed[at + k]
            k += 1


def find_blocks(
    lexed: Lexemes, data: NDArray[np.uint8], offsets: NDArray[np.int64], languages: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """
    Return from where the texts can be lexed piece by piece: the starts of all texts, and in a long one the starts of
    lines about 2 KiB apart; shape (4, blocks): byte, lexemes before it in the two views, line in its text from 1.

    A place inside a string or a comment is none, and the lexer alone knows where those are. So every cut is tried: it
    stays only if the pieces, lexed each on its own, have the very lexemes that the whole text has.
    """
    cuts = _cuts(lexed, data, offsets, languages)
    blocks = np.sort(np.concatenate([offsets[:-1], cuts]), kind="stable")
    first = np.searchsorted(lexed.starts, blocks)
    renamed = np.concatenate([[0], np.cumsum(lexed.renamed != 0)])
    newlines = np.flatnonzero(data == ord("\n"))
    begin = offsets[np.searchsorted(offsets, blocks, "right") - 1]
    lines = np.searchsorted(newlines, blocks) - np.searchsorted(newlines, begin) + 1
    return np.stack([blocks, first, renamed[first], lines]).astype(np.int64)


def _cuts(
    lexed: Lexemes, data: NDArray[np.uint8], offsets: NDArray[np.int64], languages: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """The proved cuts inside long texts, ascending. What is wrong is merged with its neighbour and tried again."""
    found = np.empty(data.size // BLOCK + 1, np.int64)
    used = _propose(data, offsets, lexed.starts, lexed.ends, lexed.kinds, lexed.renamed, lexed.text_ends, found)
    cuts = found[:used]
    open_ = cuts  # whose pieces, on both sides, are still to be proved
    for _ in range(_ROUNDS):
        if not open_.size:
            return cuts
        edges = np.unique(np.concatenate([offsets, cuts]))
        near = np.searchsorted(edges, open_)
        pieces = np.unique(np.concatenate([near - 1, near]))
        wrong = pieces[_wrong_pieces(lexed, data, edges, pieces, offsets, languages)]
        # A wrong piece loses the cut at its start; the first of a text, which starts at none, the one at its end.
        starts = edges[wrong]
        gone = np.where(np.isin(starts, cuts), starts, edges[wrong + 1])
        before = edges[np.searchsorted(edges, gone) - 1]
        after = edges[np.searchsorted(edges, gone) + 1] if gone.size else gone
        cuts = cuts[~np.isin(cuts, gone)]
        open_ = cuts[np.isin(cuts, np.concatenate([before, after]))]
        lone = np.setdiff1d(before, cuts)  # merged to the start of a text, without a cut on either side: that is proved
        open_ = np.unique(np.concatenate([open_, cuts[np.isin(cuts, after[np.isin(before, lone)])]]))
    texts = np.unique(np.searchsorted(offsets, open_, "right"))
    return cuts[~np.isin(np.searchsorted(offsets, cuts, "right"), texts)] if open_.size else cuts


def _wrong_pieces(
    lexed: Lexemes, data: NDArray[np.uint8], edges: NDArray[np.int64], pieces: NDArray[np.int64],
    offsets: NDArray[np.int64], languages: NDArray[np.uint8],
) -> NDArray[np.bool_]:  # fmt: skip
    """Return per piece ``edges[p]`` to ``edges[p + 1]`` whether it lexes otherwise on its own."""
    low, high = edges[pieces], edges[pieces + 1]
    ends = np.concatenate([[0], np.cumsum(high - low)]).astype(np.int64)
    joined = np.empty(int(ends[-1]), np.uint8)
    gather(data, low, high, ends[:-1], joined)
    spoken = languages[np.searchsorted(offsets, low, "right") - 1]
    own = lex_texts(joined, ends, spoken, places=False)
    first, last = (np.searchsorted(lexed.starts, at).astype(np.int64) for at in (low, high))
    wrong = np.empty(pieces.size, np.bool_)
    _differ(lexed.verbatim, lexed.renamed, first, last, own.verbatim, own.renamed, own.text_ends, wrong)
    return wrong
