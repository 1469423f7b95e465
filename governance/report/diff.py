"""two texts with their masks -> both side by side, line by line, with the words that differ.

Masks are put in before anything is compared: where both texts hold a secret in the same place, nothing shows whether it
is the same one, how long it is, or how it ends.

Lines are aligned by `difflib`. Within a run of lines that differ, those lines stand beside each other that share most
words, in order; so a changed line faces what it was changed from, not whatever came first.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from governance.report.spans import visible

MOST_LINES = 2_000  # of each text that are compared; a last line says how many are not
LONGEST = 2_000  # characters of a line that are compared and shown
CONTEXT = 3  # equal lines shown around a change
MOST_PAIRED = 60  # lines of one changed run that are paired by their words; longer ones in order
MOST_WORDS = 400  # of a line; longer lines that differ are marked as a whole
ALIKE = 0.3  # least share of words for two lines to face each other

Mask = tuple[int, int, str]
Kind = Literal["equal", "changed", "left", "right", "gap"]

_WORD = re.compile(r"<[a-z0-9-]+/[a-z0-9/-]+>|\w+|[^\S\n]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line; *marked* if the other side has something else there."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """
    Two lines that face each other; numbers count from 1 and are None where that side has no line.

    Of kind ``gap`` both sides are left out, and *count* says how many lines.
    """

    kind: Kind
    left_number: int | None = None
    left: tuple[Piece, ...] = ()
    right_number: int | None = None
    right: tuple[Piece, ...] = ()
    count: int = 0


def compare(left: str, right: str, left_masks: Sequence[Mask] = (), right_masks: Sequence[Mask] = ()) -> list[Row]:
    """
    Return both texts line by line, with runs of equal lines cut to three around a change.

    Args:
        left_masks, right_masks: half-open code-point spans that must not be seen, with the rule that hides them.

    >>> rows = compare("a = 1\\nb = 2\\n", "a = 1\\nb = 3\\n")
    >>> [(r.kind, "".join(p.text for p in r.right if p.marked)) for r in rows]
    [('equal', ''), ('changed', '3'), ('equal', '')]
    """
    a, b = masked_lines(left, left_masks), masked_lines(right, right_masks)
    rows = list(_aligned(a[:MOST_LINES], b[:MOST_LINES]))
    if (cut := max(len(a), len(b)) - MOST_LINES) > 0:
        rows.append(Row("gap", count=cut))
    return list(_folded(rows))


def masked_lines(text: str, masks: Sequence[Mask]) -> list[str]:
    """
    Return the lines of *text* with each mask in place of what it hides, on every line that it reaches.

    >>> masked_lines("a = horse\\nb", [(4, 9, "secrets/x")])
    ['a = <secrets/x>', 'b']
    """
    out, at = [], 0
    for start, end, rule in sorted(masks):
        if end <= at:
            continue
        out.append(text[at : max(start, at)])
        out.append("\n".join([f"<{rule}>"] * (text.count("\n", max(start, at), end) + 1)))
        at = end
    out.append(text[at:])
    return "".join(out).split("\n")


def _aligned(a: list[str], b: list[str]) -> Iterator[Row]:
    """Every line of both texts once, in order."""
    head = _common(a, b)
    tail = _common(a[head:][::-1], b[head:][::-1])
    middle = difflib.SequenceMatcher(None, a[head : len(a) - tail], b[head : len(b) - tail])
    for i in range(head):
        yield _equal(a[i], i, i)
    for tag, i1, i2, j1, j2 in middle.get_opcodes():
        if tag == "equal":
            for k in range(i2 - i1):
                yield _equal(a[head + i1 + k], head + i1 + k, head + j1 + k)
        else:
            yield from _faced(a, range(head + i1, head + i2), b, range(head + j1, head + j2))
    for k in range(tail):
        i, j = len(a) - tail + k, len(b) - tail + k
        yield _equal(a[i], i, j)


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """How many lines *a* and *b* begin with together."""
    return next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _equal(line: str, i: int, j: int) -> Row:
    shown = (Piece(_cut(line)),)
    return Row("equal", i + 1, shown, j + 1, shown)


def _faced(a: list[str], i: range, b: list[str], j: range) -> Iterator[Row]:
    """The lines of a changed run: those that are alike beside each other, the others alone."""
    left, right = list(i), list(j)
    for x, y in _pairs([a[k] for k in left], [b[k] for k in right]):
        if x is None and y is not None:
            yield Row("right", right_number=right[y] + 1, right=(Piece(_cut(b[right[y]]), True),))
        elif y is None and x is not None:
            yield Row("left", left[x] + 1, (Piece(_cut(a[left[x]]), True),))
        elif x is not None and y is not None:
            pieces = words_changed(_cut(a[left[x]]), _cut(b[right[y]]))
            yield Row("changed", left[x] + 1, pieces[0], right[y] + 1, pieces[1])


def _pairs(a: list[str], b: list[str]) -> list[tuple[int | None, int | None]]:
    """
    Align two runs of lines in order so that the shares of common words add up to the most (Needleman, Wunsch 1970).

    Lines that share less than `ALIKE` of their words do not face each other, unless either run is one line alone.
    """
    if max(len(a), len(b)) > MOST_PAIRED:
        both = min(len(a), len(b))
        rest: list[tuple[int | None, int | None]] = [(k, None) for k in range(both, len(a))]
        return [*((k, k) for k in range(both)), *rest, *((None, k) for k in range(both, len(b)))]
    left, right = [Counter(_WORD.findall(x)) for x in a], [Counter(_WORD.findall(y)) for y in b]
    alone = len(a) == len(b) == 1
    score = [[_alike(x, y) for y in right] for x in left]
    best = [[0.0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for x in reversed(range(len(a))):
        for y in reversed(range(len(b))):
            faced = best[x + 1][y + 1] + score[x][y] if alone or score[x][y] >= ALIKE else -1.0
            best[x][y] = max(faced, best[x + 1][y], best[x][y + 1])
    out: list[tuple[int | None, int | None]] = []
    x = y = 0
    while x < len(a) and y < len(b):
        if (alone or score[x][y] >= ALIKE) and best[x][y] == best[x + 1][y + 1] + score[x][y]:
            out.append((x, y))
            x, y = x + 1, y + 1
        elif best[x][y] == best[x + 1][y]:
            out.append((x, None))
            x += 1
        else:
            out.append((None, y))
            y += 1
    return [*out, *((k, None) for k in range(x, len(a))), *((None, k) for k in range(y, len(b)))]


def _alike(a: Counter[str], b: Counter[str]) -> float:
    """Share of common words, white space left out, from 0 to 1; two lines without a word are alike."""
    x = {w: n for w, n in a.items() if not w.isspace()}
    y = {w: n for w, n in b.items() if not w.isspace()}
    whole = sum(x.values()) + sum(y.values())
    return 2 * sum(min(n, y.get(w, 0)) for w, n in x.items()) / whole if whole else 1.0


def words_changed(a: str, b: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """
    Return both lines in pieces, the words that differ marked.

    >>> [p.text for p in words_changed("return x", "return y")[1] if p.marked]
    ['y']
    """
    left, right = _WORD.findall(a), _WORD.findall(b)
    if max(len(left), len(right)) > MOST_WORDS:
        return (Piece(a, True),), (Piece(b, True),)
    out: tuple[list[Piece], list[Piece]] = ([], [])
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        for side, part in zip(out, ("".join(left[i1:i2]), "".join(right[j1:j2])), strict=True):
            if part:
                side.append(Piece(part, tag != "equal"))
    return tuple(out[0]), tuple(out[1])


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else line[:LONGEST] + "…"


def _folded(rows: list[Row]) -> Iterator[Row]:
    """Leave out equal lines that are further than `CONTEXT` from a change; all but the first few if nothing changed."""
    near = [False] * len(rows)
    changes = [k for k, row in enumerate(rows) if row.kind != "equal"] or [0]
    for k in changes:
        for i in range(max(0, k - CONTEXT), min(len(rows), k + CONTEXT + 1)):
            near[i] = True
    left_out = 0
    for k, row in enumerate(rows):
        if near[k]:
            if left_out:
                yield Row("gap", count=left_out)
            left_out = 0
            yield row
        else:
            left_out += 1
    if left_out:
        yield Row("gap", count=left_out)


def shown(piece: Piece) -> str:
    """
    Return the text of *piece* as a terminal may get it: tabs as four spaces, unless the tab is what differs.

    >>> shown(Piece("\\tx")), shown(Piece("\\t", True))
    ('    x', '\\\\t')
    """
    return visible(piece.text if piece.marked else piece.text.replace("\t", "    "))
