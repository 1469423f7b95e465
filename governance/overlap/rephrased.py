"""samples, benchmark items -> texts that say what an item says in other words or another language: advice, no proof.

A text and an item are compared as bags of words. Words are the parts of names (``maxRetryCount`` and
``max_retry_count`` are *max*, *retry*, *count*), the words of strings, comments and prose, numbers, and Chinese
characters; keywords and operators are none. A word that a text has tf times weighs ``(1 + ln tf) * idf``, with idf from
the dataset that is judged as in `benchmark`, so what everybody writes weighs little. The score is the cosine of both.

Measured with 0.4, chosen on one half of the items and judged on the other: of 134 functions that were rewritten (names,
docstrings, branches, comparisons) so that no stronger evidence is left, 0.66 are named, and 0.53 of the rows are right;
of 4,000 questions, each with an SQL query that answers it, 0.71 and 0.86. With 0.25 that is 0.74 and 0.17, 0.74 and
0.73: a text to look at, and no more.

Every item of at least `LEAST` words is compared with every text, exactly, but only some pairs are multiplied out: of
an item's words the heaviest are *seeds*, so many that the rest has a length of at most half the threshold. As no
vector is longer than 1, a text that reaches the threshold reaches half of it by seeds alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numba import float64, int64, uint8, uint64, void

from governance.kernels import F64, FLAGS, I64, U8, U64, kernel
from governance.languages.lexer import CJK, KEYWORD, NUMBER, OPERATOR, Lexemes, lex_texts
from governance.overlap.benchmark import HITS, Items
from governance.overlap.texts import Piece, mapped, places, read_pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 3  # distinct words of an item, and shared ones of a hit
BUCKETS = 22  # bits; words that share a bucket are counted together
PRIOR = 1000.0  # texts that the expectation counts as
EXPECTED = np.array([0.1, 0.05, 0.001, 0.02, 0.05])
"""Share of texts in which a word is expected before anything is seen: of 1 or 2 bytes, 3, more; CJK; number."""

_CLASSES = np.zeros(256, np.uint8)  # of a byte: 0 none, 1 lower case or not ASCII, 2 upper case, 3 digit
_CLASSES[ord("a") : ord("z") + 1] = 1
_CLASSES[128:] = 1
_CLASSES[ord("A") : ord("Z") + 1] = 2
_CLASSES[ord("0") : ord("9") + 1] = 3
_SHIFT = 64 - BUCKETS


@kernel(int64(U8, I64, I64, U8, I64, U8, int64, int64, int64, int64, uint64[::1], int64[::1]))
def split_words(
    data: Any, starts: Any, ends: Any, kinds: Any, text_ends: Any, classes: Any, keyword: int, operator: int,
    number: int, cjk: int, words: Any, word_ends: Any,
) -> int:  # fmt: skip
    """
    Write the hash of every word and per text where its words end; return how many there are; *words* may be empty.

    The lowest three bits of a hash are the place in `EXPECTED`.
    """
    used = 0
    word_ends[0] = 0
    for text in range(text_ends.size - 1):
        for i in range(text_ends[text], text_ends[text + 1]):
            kind = kinds[i]
            if kind in (keyword, operator):
                continue
            at, last = starts[i], ends[i]
            while at < last:
                first = at
                a = classes[data[at]]
                at += 1
                if kind in (number, cjk):
                    at = last
                elif a == 0:
                    continue
                else:
                    while at < last:
                        b = classes[data[at]]
                        after = classes[data[at + 1]] if at + 1 < last else uint8(0)
                        if b == 0 or (b == 3) != (a == 3) or (b == 2 and (a == 1 or after == 1)):
                            break
                        a = b
                        at += 1
                if used < words.size:
                    value = uint64(0xCBF29CE484222325)
                    for j in range(first, at):
                        byte = data[j] | uint8(32) if classes[data[j]] == 2 else data[j]
                        value = (value ^ uint64(byte)) * uint64(0x100000001B3)
                    value ^= value >> uint64(33)
                    value *= uint64(0xFF51AFD7ED558CCD)
                    value ^= value >> uint64(33)
                    length = at - first
                    group = 3 if kind == cjk else 4 if kind == number else 0 if length < 3 else 1 if length == 3 else 2
                    words[used] = (value & ~uint64(7)) | uint64(group)
                used += 1
        word_ends[text + 1] = used
    return used


@kernel(int64(U64, I64, uint64[::1], float64[::1], int64[::1], uint64[::1]))
def make_bags(words: Any, word_ends: Any, out: Any, counts: Any, ends: Any, sums: Any) -> int:
    """Write the distinct words of every text in order, 1 + ln of how often each stands there, and the bag's own sum."""
    used = 0
    ends[0] = 0
    for text in range(word_ends.size - 1):
        own = np.sort(words[word_ends[text] : word_ends[text + 1]])
        at, total = 0, uint64(own.size)
        while at < own.size:
            first = at
            while at < own.size and own[at] == own[first]:
                at += 1
            out[used], counts[used] = own[first], 1.0 + np.log(float64(at - first))
            total = (total + own[first] * uint64(2 * (at - first) + 1)) * uint64(0x9E3779B97F4A7C15)
            used += 1
        ends[text + 1], sums[text] = used, total
    return used


@kernel(void(U64, I64, FLAGS, int64, int64[::1]))
def count_bags(words: Any, ends: Any, wanted: Any, shift: int, counts: Any) -> None:
    """Add every wanted text to the buckets of its words."""
    for text in range(ends.size - 1):
        if wanted[text]:
            for i in range(ends[text], ends[text + 1]):
                counts[int64(words[i] >> uint64(shift))] += 1


@kernel(void(U64, I64, F64, I64, F64, float64, float64, int64, float64[::1]))
def weigh_bags(
    words: Any, ends: Any, counts: Any, df: Any, expected: Any, prior: float, texts: float, shift: int, out: Any
) -> None:
    """Write the weight of every word, so that the squares of a text's weights add up to 1."""
    for text in range(ends.size - 1):
        square = 0.0
        for i in range(ends[text], ends[text + 1]):
            seen = df[int64(words[i] >> uint64(shift))] + prior * expected[int64(words[i] & uint64(7))] + 1
            out[i] = counts[i] * max(np.log((texts + prior + 1) / seen), 0.0)
            square += out[i] * out[i]
        if square > 0:
            for i in range(ends[text], ends[text + 1]):
                out[i] /= np.sqrt(square)


@kernel(void(F64, I64, FLAGS, float64, uint8[::1], float64[::1]))
def choose_words(weights: Any, ends: Any, wanted: Any, most: float, out: Any, rest: Any) -> None:
    """Mark the heaviest words of every wanted item until the *rest* is at most *most* long."""
    for item in range(ends.size - 1):
        if not wanted[item]:
            continue
        first = ends[item]
        own = weights[first : ends[item + 1]]
        order = np.argsort(-own)
        square = 0.0
        for j in range(own.size):
            square += own[j] * own[j]
        for j in order:
            if square <= most * most:
                break
            out[first + j] = 1
            square -= own[j] * own[j]
        rest[item] = np.sqrt(max(square, 0.0))


@kernel(
    void(
        U64, F64, I64, U64, F64, I64, U64, I64, I64, F64, float64, int64,
        int64[::1], float64[::1], int64[::1],
    )
)  # fmt: skip
def find_best(
    words: Any, weights: Any, ends: Any, item_words: Any, item_weights: Any, item_ends: Any, keys: Any, posts: Any,
    post_place: Any, rest: Any, threshold: float, least: int, best: Any, score: Any, shared: Any,
) -> None:  # fmt: skip
    """
    Write per text the item with the highest cosine, -1 if none reaches *threshold*; of equal ones the first.

    Args:
        keys, posts, post_place: word ``keys[i]`` is a seed at the places ``post_place[posts[i]:posts[i + 1]]``.
        rest: per item, the length of what is no seed.
        least: words that both have to share.
    """
    partial = np.zeros(item_ends.size - 1, np.float64)
    touched = np.empty(item_ends.size - 1, np.int64)
    for text in range(ends.size - 1):
        count, first, last = 0, ends[text], ends[text + 1]
        for i in range(first, last):
            key = np.searchsorted(keys, words[i])
            if key == keys.size or keys[key] != words[i]:
                continue
            for p in range(posts[key], posts[key + 1]):
                item = np.searchsorted(item_ends, post_place[p], side="right") - 1
                if partial[item] == 0.0:
                    touched[count] = item
                    count += 1
                partial[item] += weights[i] * item_weights[post_place[p]] + 1e-300
        best[text], score[text], shared[text] = -1, 0.0, 0
        for t in range(count):
            item = touched[t]
            bound = partial[item] + rest[item]
            partial[item] = 0.0
            if bound < threshold - 1e-9 or bound < score[text] - 1e-9:
                continue
            total, both, i, j = 0.0, 0, first, item_ends[item]
            while i < last and j < item_ends[item + 1]:
                if words[i] == item_words[j]:
                    total += weights[i] * item_weights[j]
                    both += 1
                    i += 1
                    j += 1
                elif words[i] < item_words[j]:
                    i += 1
                else:
                    j += 1
            better = total > score[text] or (total == score[text] and item < best[text])
            if both >= least and total >= threshold and better:
                best[text], score[text], shared[text] = item, total, both


@dataclass
class _Bags:
    """The distinct words of some texts, text by text."""

    words: NDArray[np.uint64]
    counts: NDArray[np.float64]
    ends: NDArray[np.int64]
    sums: NDArray[np.uint64]

    @classmethod
    def of(cls, data: NDArray[np.uint8], lexemes: Lexemes) -> _Bags:
        count = lexemes.text_ends.size - 1
        flat = (
            data, lexemes.starts.astype(np.int64), lexemes.ends.astype(np.int64), lexemes.kinds, lexemes.text_ends,
            _CLASSES, KEYWORD, OPERATOR, NUMBER, CJK,
        )  # fmt: skip
        ends = np.zeros(count + 1, np.int64)
        words = np.empty(split_words(*flat, np.empty(0, np.uint64), ends), np.uint64)
        split_words(*flat, words, ends)
        out, counts = np.empty(words.size, np.uint64), np.empty(words.size)
        own, sums = np.zeros(count + 1, np.int64), np.zeros(count, np.uint64)
        used = make_bags(words, ends, out, counts, own, sums)
        return cls(out[:used], counts[:used], own, sums)

    def weights(self, df: NDArray[np.int64], texts: int) -> NDArray[np.float64]:
        """Return the weight of every word among *texts* texts, of which ``df[bucket]`` hold it."""
        out = np.zeros(self.words.size)
        weigh_bags(self.words, self.ends, self.counts, df, EXPECTED, PRIOR, float(texts), _SHIFT, out)
        return out


def find_rephrased(
    samples: Path, items: Items, wanted: NDArray[np.bool_], *, threshold: float = 0.4, threads: int = 2
) -> pa.Table:
    """
    Return for every text of the Arrow IPC file *samples* the item that it is most like, if it is like one.

    Args:
        wanted: shape (items,), which items are looked for; the others say too little.
        threshold: least cosine, above 0 and up to 1.

    Returns:
        Schema `benchmark.HITS`, by place and field; class ``item-rephrased``, a span that is the whole text, how many
        words both have as *lexemes*, the cosine as *score*. The same rows for any number of threads.
    """
    own = _Bags.of(items.data, lex_texts(items.data, items.ends, items.languages))
    df, texts = _count(samples, threads)
    search = _Search.of(items, own, own.weights(df, texts), wanted & (np.diff(own.ends) >= LEAST), threshold)

    def look(piece: Piece) -> list[pa.Table]:
        bags = _Bags.of(piece.data, piece.lex())
        return list(search.rows(piece, bags, bags.weights(df, texts)))

    found = [table for _, tables in mapped(look, read_pieces(samples), threads) for table in tables]
    table = pa.concat_tables(found) if found else HITS.empty_table()
    return table.sort_by([("place", "ascending"), ("field", "ascending")]).combine_chunks()


def _count(samples: Path, threads: int) -> tuple[NDArray[np.int64], int]:
    """Return per bucket how many distinct texts hold a word of it, and how many there are."""
    df, seen = np.zeros(1 << BUCKETS, np.int64), set[int]()

    def bags_of(piece: Piece) -> _Bags:
        return _Bags.of(piece.data, piece.lex())

    for _, bags in mapped(bags_of, read_pieces(samples), threads):
        wanted = np.zeros(bags.sums.size, np.bool_)
        for i, key in enumerate(bags.sums.tolist()):
            if key not in seen:
                seen.add(key)
                wanted[i] = True
        count_bags(bags.words, bags.ends, wanted, _SHIFT, df)
    return df, len(seen)


@dataclass(frozen=True)
class _Search:
    """The items, ready to be looked for."""

    items: Items
    bags: _Bags
    weights: NDArray[np.float64]
    keys: NDArray[np.uint64]
    posts: NDArray[np.int64]
    post_place: NDArray[np.int64]
    rest: NDArray[np.float64]
    threshold: float

    @classmethod
    def of(
        cls, items: Items, bags: _Bags, weights: NDArray[np.float64], wanted: NDArray[np.bool_], threshold: float
    ) -> _Search:
        marks, rest = np.zeros(bags.words.size, np.uint8), np.zeros(bags.ends.size - 1)
        choose_words(weights, bags.ends, wanted, threshold / 2, marks, rest)
        seeds = np.flatnonzero(marks)
        seeds = seeds[np.argsort(bags.words[seeds], kind="stable")]
        keys, first = np.unique(bags.words[seeds], return_index=True)
        posts = np.append(first, seeds.size).astype(np.int64)
        return cls(items, bags, weights, keys, posts, seeds, rest, threshold)

    def rows(self, piece: Piece, bags: _Bags, weights: NDArray[np.float64]) -> Iterator[pa.Table]:
        """Yield HITS of one piece."""
        count = bags.ends.size - 1
        best, shared, score = np.full(count, -1, np.int64), np.zeros(count, np.int64), np.zeros(count)
        find_best(
            bags.words, weights, bags.ends, self.bags.words, self.weights, self.bags.ends, self.keys, self.posts,
            self.post_place, self.rest, self.threshold, LEAST, best, score, shared,
        )  # fmt: skip
        texts = np.flatnonzero(best >= 0)
        if texts.size == 0:
            return
        ends = [_extent(piece.data, piece.ends, t) for t in texts.tolist()]
        item_ends = [_extent(self.items.data, self.items.ends, i) for i in best[texts].tolist()]
        zero, one = np.zeros(texts.size, np.int64), np.ones(texts.size, np.int64)
        columns = [
            piece.rows[texts], piece.fields.take(pa.array(texts)), zero, [end for end, _ in ends], one,
            [line for _, line in ends], ["item-rephrased"] * texts.size, best[texts], one,
            [line for _, line in item_ends], shared[texts], np.minimum(score[texts], 1.0),
        ]  # fmt: skip
        yield pa.table([pa.array(column) for column in columns], schema=HITS)


def _extent(data: NDArray[np.uint8], ends: NDArray[np.int64], text: int) -> tuple[int, int]:
    """Return the code points and lines of a text."""
    begin, end = int(ends[text]), int(ends[text + 1])
    points, lines = places(data, begin, end, np.array([end - begin], np.int64))
    return int(points[0]), int(lines[0])
