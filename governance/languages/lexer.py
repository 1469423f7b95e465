"""texts, languages -> lexemes: stable hashes in two views, kinds, byte offsets.

A *lexeme* is the smallest piece of text that means something: a word (letters, marks, digits and underscores of any
script), a Chinese or Japanese character, a number (``3.5``, ``0x1F``, ``1e-5``), an operator of up to three
characters (`OPERATORS`), or any other character that is not white space. So ``int 订单Id2 = 3.5;`` is
``int 订 单 Id2 = 3.5 ;``. A byte that is not UTF-8 is a lexeme of its own.

**Verbatim** lexemes come from the bytes alone, and never from the language: comments and strings are cut exactly like
code and prose. The same text then has the same lexemes in a file, in a prompt, between the fences of an answer, and
in a string of another program; a wrong guess of the language cannot hide a copy; and a comment that was
copied counts like code that was copied. The price is that ``"a b"`` is four lexemes and not one.

**Renamed** lexemes are for copies whose names were changed. There the language counts: every name is one and the
same lexeme, and so is every number and every string literal (its first lexeme stands for all of it: what a message
says is as easily changed as a name). Keywords, common built-in names and operators stay; comments and docstrings are
left out. In prose and in data formats nothing folds, because there the names are all there is.

Hashes are FNV-1a over the bytes, 64 bits, mixed with the finaliser of MurmurHash3: the same number on every machine
and in every version, which DuckDB's and Python's ``hash()`` do not promise. They may be stored. No lexeme hashes to 0.
"""

from __future__ import annotations

import functools
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from governance.languages import kernel as flat
from governance.languages.characters import character_classes
from governance.languages.detect import fenced_segments, language_ids
from governance.languages.kernel import (
    BRACKET,
    CJK,
    CLOSES,
    COMMENT,
    ID,
    IDENTIFIER,
    KEYWORD,
    NAMES,
    NUM,
    NUMBER,
    OPENS,
    OPERATOR,
    STR,
    STRING,
    WORD,
    hash_bytes,
    lex_segments,
    mix,
)  # fmt: skip
from governance.languages.syntax import LANGUAGES, SYNTAXES, Delimiter, Syntax

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CJK", "COMMENT", "ID", "IDENTIFIER", "KEYWORD", "KINDS", "LANGUAGES", "NUM", "NUMBER", "OPERATOR", "OPERATORS",
    "STR", "STRING", "WORD", "Lexemes", "character_classes", "hash_bytes", "lex_string", "lex_texts", "mix",
]  # fmt: skip

KINDS = ("word", "cjk", "identifier", "keyword", "number", "string", "comment", "operator")
"""Names of the kinds. `word` and `cjk` are those of prose; a Chinese name in code is an identifier."""

OPERATORS = (
    "== != <= >= && || -> => :: += -= *= /= %= &= |= ^= ++ -- << ** // /* */ .. ?? ?. := <> "
    "=== !== <=> ... <<= **= ??= &&= ||= ..= ..<"
)
"""
What of more than one character is one lexeme; the longest counts. Without ``>>``, which closes two type arguments as
often as it shifts, and without ``<-`` and ``=~``, which mean two things in many languages.
"""

MOST_BYTES = 2**31 - 1  # of one call


@dataclass(frozen=True)
class Lexemes:
    """
    The lexemes of n texts, m in all, in the order of the texts; those of text j are ``text_ends[j]:text_ends[j + 1]``.

    verbatim: uint64 (m,), hashes, never 0.
    renamed: uint64 (m,), 0 where a lexeme has no place in the renamed view; empty if not asked for.
    starts, ends: (m,), byte offsets in the data that was lexed; int32, or int64 where the texts do not begin at 0;
        empty if not asked for.
    kinds: uint8 (m,), places in KINDS; empty if `renamed` was not asked for.
    text_ends: int64 (n + 1,).
    """

    verbatim: NDArray[np.uint64]
    renamed: NDArray[np.uint64]
    starts: NDArray[Any]
    ends: NDArray[Any]
    kinds: NDArray[np.uint8]
    text_ends: NDArray[np.int64]

    def __len__(self) -> int:
        return self.verbatim.size


def _buckets(keys: list[int]) -> tuple[NDArray[np.uint64], int]:
    """
    Return buckets of two, and the shift, so that every key is in the bucket ``key >> shift``, modulo their number.

    A look-up is then two comparisons and no branch, which halves its cost: whether a word is a keyword cannot be
    predicted.
    """
    size = 16
    while True:
        for shift in range(0, 56, 4):
            places = [(key >> shift) & (size - 1) for key in keys]
            if max(np.bincount(places, minlength=1), default=0) <= 2:
                table = np.zeros((size, 2), np.uint64)
                for key, place in zip(keys, places, strict=True):
                    table[place, int(table[place, 0] != 0)] = key
                return table.reshape(-1), shift
        size *= 2


def _row(d: Delimiter, more: bool, pool: bytearray) -> list[int]:
    """Return a delimiter as the kernel reads it; its texts go to the end of *pool*."""
    row = []
    for text in (d.open, d.close):
        row += [len(pool), len(text)]
        pool.extend(text.encode())
    row += [d.shape, d.kind, d.flags, len(pool), len(d.hole), int(more)]
    pool.extend(d.hole.encode())
    return row


def _marks(one: Syntax) -> NDArray[np.uint8]:
    """Return what each byte may be that begins an operator, as the kernel reads it."""
    begins = {d.open[0] for d in one.delimiters}
    begins |= {d.open.lstrip(string.ascii_letters + string.digits)[0] for d in one.prefixed}
    marks = np.zeros(256, np.uint8)
    for characters, mark in (("".join(begins), OPENS), (")]}", CLOSES), ("([{", BRACKET), ("$" * one.dollars, NAMES)):
        marks[[ord(c) for c in characters]] |= mark
    return marks


@functools.cache
def tables() -> Any:
    """Return SYNTAXES and OPERATORS as flat arrays, in the order of the kernel's arguments."""
    pool = bytearray()
    rows: list[list[int]] = []
    first = np.full((len(SYNTAXES), 256), -1, np.int32)
    prefixed, flags = np.zeros((len(SYNTAXES), 2), np.int32), np.zeros(len(SYNTAXES), np.uint8)
    marks = np.zeros((len(SYNTAXES), 256), np.uint8)
    words: list[NDArray[np.uint64]] = []
    ranges: list[int] = []
    for number, one in enumerate(SYNTAXES):
        groups: dict[int, list[Delimiter]] = {}
        for d in sorted(one.delimiters, key=lambda d: -len(d.open)):
            groups.setdefault(ord(d.open[0]), []).append(d)
        for byte, group in groups.items():
            first[number, byte] = len(rows)
            rows += [_row(d, d is not group[-1], pool) for d in group]
        prefixed[number, 0] = len(rows)
        rows += [_row(d, False, pool) for d in sorted(one.prefixed, key=lambda d: -len(d.open))]
        prefixed[number, 1] = len(rows)
        marks[number] = _marks(one)
        for bit in ("any_case", "docstrings", "dollars", "tagged", "folds", "prose"):
            flags[number] |= getattr(flat, bit.upper()) * getattr(one, bit)
        keys, shift = _buckets([hash_bytes((w.lower() if one.any_case else w).encode()) for w in sorted(one.words)])
        ranges += [sum(k.size for k in words), keys.size // 2 - 1, shift]
        words.append(keys)
    numbers = np.full(256, 31, np.uint8)  # 31: part of none
    pairs = np.zeros(32, np.uint32)
    for k, character in enumerate(sorted({c for op in OPERATORS.split() for c in op})):
        numbers[ord(character)] = k
    for op in OPERATORS.split():
        pairs[numbers[ord(op[0])]] |= np.uint32(1 << int(numbers[ord(op[1])]))
    triples = np.array([int.from_bytes(op.encode(), "big") for op in OPERATORS.split() if len(op) == 3], np.int64)
    return (
        np.array(rows, np.int32).reshape(-1), np.frombuffer(bytes(pool), np.uint8), first.reshape(-1),
        prefixed.reshape(-1), flags, np.concatenate(words), np.array(ranges, np.int32), marks.reshape(-1),
        numbers, pairs, triples,
    )  # fmt: skip


def lex_texts(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    languages: NDArray[np.uint8],
    *,
    renamed: bool = True,
    places: bool = True,
) -> Lexemes:
    """
    Lex n texts; text j is ``data[offsets[j]:offsets[j + 1]]`` in the language ``LANGUAGES[languages[j]]``.

    In a text of language 0 (prose) the parts between Markdown fences are lexed in the language that the fence names,
    or in the one they look like.

    Args:
        data: any bytes.
        offsets: ascending, n + 1 of them, all within *data*; at most 2**31 - 1 bytes lie between the first and last.
        languages: numbers of languages, n of them.
        renamed: fill `renamed` and `kinds`.
        places: fill `starts` and `ends`.

    Returns:
        Lexemes in the order of the text. No Python object per token is made, and the GIL is released.

    Raises:
        ValueError: the offsets or languages do not fit, or are too many bytes for one call.
    """
    offsets = np.ascontiguousarray(offsets, np.int64)
    languages = np.ascontiguousarray(languages, np.uint8)
    base, total = int(offsets[0]), int(offsets[-1] - offsets[0])
    if base < 0 or base + total > data.size or languages.size != offsets.size - 1 or (np.diff(offsets) < 0).any():
        raise ValueError(f"{offsets.size} offsets and {languages.size} languages do not fit {data.size} bytes")
    if languages.size and languages.max() >= len(LANGUAGES):
        raise ValueError(f"language {languages.max()}; the last one is {len(LANGUAGES) - 1}")
    if total > MOST_BYTES:
        raise ValueError(f"{total} bytes in one call, at most {MOST_BYTES}; lex the texts in several calls")
    part = data[base : base + total]
    segments, spoken, of_texts = offsets - base, languages, None
    if renamed:
        segments, spoken, of_texts = fenced_segments(part, segments, spoken)
    verbatim = np.empty(total, np.uint64)  # the system gives memory only to what is written
    folded, kinds = np.empty(total if renamed else 0, np.uint64), np.empty(total if places or renamed else 0, np.uint8)
    starts, ends = (np.empty(total if places or renamed else 0, np.int32) for _ in range(2))
    counts = np.empty(segments.size, np.int64)
    used = lex_segments(  # type: ignore[call-arg]
        part, segments, spoken, character_classes(), *tables(), renamed,
        verbatim, folded, starts, ends, kinds, counts,
    )  # fmt: skip
    for array in (verbatim, folded, kinds, starts, ends):
        if array.size:
            array.resize(used, refcheck=False)
    if not places:
        starts, ends = starts[:0].copy(), ends[:0].copy()
    elif base:
        starts, ends = starts + np.int64(base), ends + np.int64(base)
    return Lexemes(verbatim, folded, starts, ends, kinds, counts if of_texts is None else counts[of_texts])


def lex_string(text: str, language: str = "") -> Lexemes:
    """
    Lex one text in the language named, by any name that `detect.language_ids` knows; guessed without one.

    Offsets count bytes of the text in UTF-8; a lone surrogate counts as three bytes, none of them UTF-8.

    >>> [KINDS[kind] for kind in lex_string("if x > 1:", "python").kinds]
    ['keyword', 'identifier', 'operator', 'number', 'operator']
    """
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    offsets = np.array([0, data.size], np.int64)
    return lex_texts(data, offsets, language_ids([language], None, data, offsets))
