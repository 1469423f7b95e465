"""samples, benchmark items -> the samples that hold an item: whole, mostly, or with other names.

An item is one text of a benchmark: a prompt, a solution, a test. It stands in a text of a sample if

* *verbatim*: both share a run of ``min(30, lexemes of the item)`` lexemes that carries enough information, or
* *contained*: a window of the text (see `windows`) holds shingles of 5 lexemes that make up at least 0.8 of the item's
  weight (items of 13 lexemes and more), or
* *renamed*: the same in the renamed view, with shingles of 10, at least 0.9, and items of at least 25 lexemes there.

An item of less than 13 lexemes counts only whole.

Items of one benchmark share text with each other, so one copied item brings hits of its relatives: a run of 30 of a
function that differs, or another test with the same structure. So the best evidence names the item. A run of a part of
an item, or a renamed match, that lies within the place of better evidence in the same text is *secondary*: it is listed
and counted nowhere. Better is verbatim before renamed, then more lexemes, then the higher score; what is equally good
stays. An item that stands there whole, or by 0.8 of its weight, is never secondary.

Weight is idf: ``ln((N + 1000 + 1) / (df + 1000 p + 1))`` with df of N distinct texts of the dataset that is judged,
so that what everybody writes weighs next to nothing. p is what is expected before anything is seen: 0 for shingles; for
lexemes 0.3 for operators and keywords, 0.1 for names of one or two letters, 0.05 for numbers, else 0.001. So five
samples do not make ``return`` a rare word.

A match says something only if the item does. So its distinct lexemes have to weigh 20 nats ("return x + y" has 8), and
its shingles 10, each counted once and for the lexemes that are its own: their mean times lexemes / 5. An item
below that is *undecidable*, and listed as such. A shared run below it does not count either, so an import that both
begin with is no contamination.

The texts of the dataset are lexed twice and never held: once for df, once to look for the items.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from governance.languages.lexer import CJK, IDENTIFIER, KEYWORD, NUMBER, OPERATOR, WORD, Lexemes, lex_texts
from governance.overlap import windows
from governance.overlap.found import FOUND
from governance.overlap.texts import Piece, mapped, places, read_pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUN = 30  # lexemes of a run that counts, or the whole item
SHORT = 13  # lexemes; shorter items count only whole
CONTAINED = 0.8
RENAMED = 0.9
RENAMED_LEAST = 25  # lexemes of the renamed view
FLOOR = 20.0  # nats that the lexemes have to weigh
SHINGLES = 10.0  # nats that the shingles have to weigh
PRIOR = 1000.0  # texts that the expectation counts as
VIEWS = (("verbatim", 5), ("renamed", 10))

HITS = pa.schema(
    [
        ("place", pa.int64()),  # of the sample in the file
        ("field", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("line", pa.int64()),
        ("end_line", pa.int64()),
        ("class", pa.string()),  # item, item-renamed, item-secondary
        ("item", pa.int64()),  # its number
        ("item_line", pa.int64()),
        ("item_end_line", pa.int64()),
        ("lexemes", pa.int64()),  # of the shared run; or of all shared shingles of the window
        ("score", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Items:
    """
    Benchmark items.

    Attributes:
        data, ends: item i is ``data[ends[i]:ends[i + 1]]``.
        languages: shape (n,), see `languages.detect`.
        table: n rows with what a hit says of its source: source, repository, path, licence, index.
    """

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]
    languages: NDArray[np.uint8]
    table: pa.Table

    @property
    def count(self) -> int:
        """How many items there are."""
        return self.ends.size - 1


@dataclass(frozen=True)
class Found:
    """
    What `find_benchmark_items` gives.

    Attributes:
        hits: schema HITS, by place, field, start; the best evidence per text and item.
        undecidable: numbers of the items that are too common to judge by, ascending; empty items among them.
    """

    hits: pa.Table
    undecidable: NDArray[np.int64]

    def named(self, items: Items) -> pa.Table:
        """Return the hits as rows of schema `found.FOUND`, with what *items* says of each item."""
        number, about = self.hits["item"], items.table
        columns = {name: self.hits[name] for name in HITS.names}
        columns |= {
            "source": about["source"].take(number), "source_repository": about["repository"].take(number),
            "source_path": about["path"].take(number), "source_licence": about["licence"].take(number),
            "source_line": self.hits["item_line"], "source_end_line": self.hits["item_end_line"],
            "df": pa.array(np.ones(len(number), np.int64)), "index": about["index"].take(number),
        }  # fmt: skip
        return pa.table([columns[name] for name in FOUND.names], schema=FOUND)


_Evidence: TypeAlias = "tuple[_Search, Lexemes, list[tuple[str, NDArray[np.int64], NDArray[np.float64]]]]"
"""Of one piece: per kind of evidence the rows and scores of `windows.find_items`, the renamed ones last."""


class _Keys:
    """Distinct hashes of the items, and how many texts of the dataset hold each."""

    def __init__(self, values: NDArray[np.uint64]) -> None:
        ordered = np.sort(values[values != 0])  # np.unique hashes first, and takes ten times as long
        self.keys = ordered[np.append(True, ordered[1:] != ordered[:-1])[: ordered.size]]
        bits = max(int(self.keys.size).bit_length(), 1)
        self.shift = 64 - bits
        leading = (self.keys >> np.uint64(self.shift)).astype(np.int64)
        self.buckets = np.searchsorted(leading, np.arange((1 << bits) + 1)).astype(np.int64)
        self.counts = np.zeros(self.keys.size, np.int64)
        self.last = np.full(self.keys.size, -1, np.int32)
        self.idf = np.zeros(self.keys.size)

    def ids(self, values: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the number of each value, -1 for one that no item has."""
        out = np.empty(values.size, np.int32)
        windows.look_up(values, self.keys, self.buckets, self.shift, out)
        return out

    def weigh(self, texts: int, prior: NDArray[np.float64] | float = 0.0) -> None:
        """Set idf from the counts among *texts* texts."""
        self.idf = np.log((texts + PRIOR + 1) / (self.counts + PRIOR * prior + 1))


@dataclass
class _View:
    """The items in one view: lexemes, shingles, and the posting lists of their seeds."""

    k: int
    values: NDArray[np.uint64]
    ends: NDArray[np.int64]
    keys: _Keys
    ids: NDArray[np.int32]
    weights: NDArray[np.float64]
    posts: NDArray[np.int64]
    post_item: NDArray[np.int32]
    post_place: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[np.uint64], ends: NDArray[np.int64], k: int) -> _View:
        grams = np.empty(values.size, np.uint64)
        windows.shingle(values, ends, k, grams)
        keys = _Keys(grams)
        none = np.empty(0, np.int64)
        return cls(k, values, ends, keys, keys.ids(grams), np.zeros(ends.size - 1), none, none.astype(np.int32), none)

    def totals(self) -> None:
        """Weigh every item."""
        windows.weigh(self.ids, self.ends, self.keys.idf, self.weights, np.full(self.keys.keys.size, -1, np.int32))

    def plant(self, wanted: NDArray[np.bool_], threshold: float, block: int) -> None:
        """Choose the seeds of the *wanted* items."""
        marks, seen = np.zeros(self.values.size, np.uint8), np.full(self.keys.keys.size, -1, np.int32)
        windows.choose_seeds(self.ids, self.ends, self.keys.idf, self.weights, wanted, threshold, block, marks, seen)
        self.post(np.flatnonzero(marks), self.ids, self.keys.keys.size)

    def post(self, seeds: NDArray[np.int64], ids: NDArray[np.int32], size: int) -> None:
        """Make the posting lists of *seeds*, places in `values`."""
        seeds = seeds[np.argsort(ids[seeds], kind="stable")]
        self.posts = np.searchsorted(ids[seeds], np.arange(size + 1)).astype(np.int64)
        self.post_place = seeds
        self.post_item = (np.searchsorted(self.ends, seeds, "right") - 1).astype(np.int32)


def renamed_view(lexemes: Lexemes) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the renamed lexemes, the ends of the texts among them, and the lexeme that each of them is."""
    kept = np.flatnonzero(lexemes.renamed)
    return lexemes.renamed[kept], np.searchsorted(kept, lexemes.text_ends).astype(np.int64), kept


def _expected(lexemes: Lexemes, keys: _Keys) -> NDArray[np.float64]:
    """Return per distinct lexeme of the items how often it is expected in a text, see the head of this file."""
    length = lexemes.ends - lexemes.starts
    by_kind = np.full(256, 0.001)
    by_kind[[OPERATOR, KEYWORD]], by_kind[[NUMBER]], by_kind[CJK] = 0.3, 0.05, 0.02
    expected = by_kind[lexemes.kinds]
    names = np.isin(lexemes.kinds, (IDENTIFIER, WORD))
    expected[names & (length <= 3)], expected[names & (length <= 2)] = 0.05, 0.1
    single = ~np.isin(lexemes.kinds, (NUMBER, CJK)) & (length == 1)
    expected[single] = np.maximum(expected[single], 0.1)  # also inside a string or comment
    out = np.zeros(keys.keys.size)
    np.maximum.at(out, keys.ids(lexemes.verbatim), expected)
    return out


class _Search:
    """The items, ready to be looked for."""

    def __init__(self, items: Items) -> None:
        self.items = items
        self.lexemes = lex_texts(items.data, items.ends, items.languages)
        folded, folded_ends, _ = renamed_view(self.lexemes)
        self.words = _Keys(self.lexemes.verbatim)
        self.word_ids = self.words.ids(self.lexemes.verbatim)
        self.views = {
            "verbatim": _View.of(self.lexemes.verbatim, self.lexemes.text_ends, 5),
            "renamed": _View.of(folded, folded_ends, 10),
        }
        self.short = _View.of(self.lexemes.verbatim, self.lexemes.text_ends, 5)  # items shorter than a shingle
        self.texts = 0

    def count(self, samples: Path, threads: int) -> None:
        """Count the texts of the dataset that hold each lexeme and shingle; texts equal by lexemes count once."""
        seen: set[int] = set()
        base = 0
        for piece, (lexemes, folded_ends, ids) in mapped(self._ids, read_pieces(samples), threads):
            del piece
            wanted = _first_seen(lexemes, seen)
            for keys, view_ids, ends in zip(
                (self.words, *(v.keys for v in self.views.values())), ids,
                (lexemes.text_ends, lexemes.text_ends, folded_ends), strict=True,
            ):  # fmt: skip
                windows.count_texts(view_ids, ends, wanted, base, keys.last, keys.counts)
            base += wanted.size
        self.texts = len(seen)

    def _ids(self, piece: Piece) -> tuple[Lexemes, NDArray[np.int64], tuple[NDArray[np.int32], ...]]:
        lexemes = piece.lex(places=False)
        folded, folded_ends, _ = renamed_view(lexemes)
        verbatim, renamed = self.views["verbatim"], self.views["renamed"]
        ids = (
            self.words.ids(lexemes.verbatim),
            verbatim.keys.ids(_grams(lexemes.verbatim, lexemes.text_ends, 5)),
            renamed.keys.ids(_grams(folded, folded_ends, 10)),
        )
        return lexemes, folded_ends, ids

    def weigh(self) -> NDArray[np.bool_]:
        """Weigh lexemes, shingles and items, plant the seeds; return which items can be decided at all."""
        self.words.weigh(self.texts, _expected(self.lexemes, self.words))
        ends = self.lexemes.text_ends
        sizes = np.diff(ends)
        by_words = np.zeros(sizes.size)
        windows.weigh(
            self.word_ids, ends, self.words.idf, by_words, np.full(self.words.keys.size, -1, np.int32)
        )  # fmt: skip
        for view in self.views.values():
            view.keys.weigh(self.texts)
            view.totals()
        verbatim, renamed = self.views["verbatim"], self.views["renamed"]
        shingled = sizes >= verbatim.k
        decidable: NDArray[np.bool_] = (by_words >= FLOOR) & (
            ~shingled | (_information(verbatim.weights, sizes, verbatim.k) >= SHINGLES)
        )
        own = np.diff(renamed.ends)
        folded = decidable & (own >= RENAMED_LEAST) & (_information(renamed.weights, own, renamed.k) >= FLOOR)
        verbatim.plant(decidable & shingled, CONTAINED, (RUN - verbatim.k + 1) // 2)
        renamed.plant(folded, RENAMED, 0)
        self._plant_short(decidable & (sizes < verbatim.k) & (sizes > 0))
        return decidable

    def _plant_short(self, wanted: NDArray[np.bool_]) -> None:
        """Items without a shingle: their rarest lexeme is the seed."""
        ends, idf = self.lexemes.text_ends, self.words.idf
        chosen = [ends[i] + int(np.argmax(idf[self.word_ids[ends[i] : ends[i + 1]]])) for i in np.flatnonzero(wanted)]
        self.short.post(np.array(chosen, np.int64), self.word_ids, self.words.keys.size)


def _information(weights: Any, lexemes: Any, k: int) -> Any:
    """Return what shingles weigh if every lexeme counts once: n - k + 1 of them overlap over n lexemes."""
    return weights * lexemes / (np.maximum(lexemes - k + 1, 1) * k)


def _first_seen(lexemes: Lexemes, seen: set[int]) -> NDArray[np.bool_]:
    """Return which texts are not equal, lexeme by lexeme, to one before; *seen* grows."""
    zero = np.zeros(1, np.uint64)
    sums = np.concatenate([zero, np.cumsum(_grams(lexemes.verbatim, lexemes.text_ends, 2), dtype=np.uint64)])
    firsts = np.concatenate([lexemes.verbatim, zero])[lexemes.text_ends[:-1]]
    keys: NDArray[np.uint64] = sums[lexemes.text_ends[1:]] - sums[lexemes.text_ends[:-1]] + firsts
    out = np.zeros(keys.size, np.bool_)
    for i, key in enumerate(keys.tolist()):
        if key not in seen:
            seen.add(key)
            out[i] = True
    return out


def _grams(values: NDArray[np.uint64], ends: NDArray[np.int64], k: int) -> NDArray[np.uint64]:
    out = np.empty(values.size, np.uint64)
    windows.shingle(values, ends, k, out)
    return out


def find_benchmark_items(samples: Path, items: Items, *, threads: int = 2) -> Found:
    """
    Look for every item in every text of the Arrow IPC file *samples*, prompts included.

    Complete: an item is found if and only if the definitions at the head of this file hold, see `windows`. The same
    rows for any number of threads.
    """
    search = _Search(items)
    search.count(samples, threads)
    decidable = search.weigh()
    hits = [h for piece, found in mapped(_Finder(search), read_pieces(samples), threads) for h in _rows(piece, found)]
    table = pa.concat_tables(hits) if hits else HITS.empty_table()
    order = [("place", "ascending"), ("field", "ascending"), ("start", "ascending"), ("item", "ascending")]
    return Found(table.sort_by(order).combine_chunks(), np.flatnonzero(~decidable))


@dataclass(frozen=True)
class _Finder:
    """Finds the items in one piece."""

    search: _Search

    def __call__(self, piece: Piece) -> _Evidence:
        search = self.search
        lexemes = piece.lex()
        folded, folded_ends, folded_at = renamed_view(lexemes)
        verbatim, renamed = search.views["verbatim"], search.views["renamed"]
        word_ids = search.words.ids(lexemes.verbatim)
        found = []
        whole = _meet(search.short, lexemes.verbatim, word_ids, word_ids, lexemes.text_ends, 1 << 62)
        own = _meet(verbatim, lexemes.verbatim, None, None, lexemes.text_ends, SHORT)
        for rows, scores in (whole, own):
            found.append(("item", *self._judged(rows, scores, word_ids)))
        rows, scores = _meet(renamed, folded, None, None, folded_ends, RENAMED_LEAST)
        good = scores >= RENAMED
        rows, scores = rows[good], scores[good]
        last = rows[:, 5] + rows[:, 6] - 1
        rows[:, 5], rows[:, 6] = folded_at[rows[:, 5]], folded_at[last] - folded_at[rows[:, 5]] + 1
        self._whole(rows, np.ones(len(rows), np.bool_))
        found.append(("item-renamed", rows, scores))
        return search, lexemes, found

    def _judged(
        self, rows: NDArray[np.int64], scores: NDArray[np.float64], word_ids: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Keep what is evidence; the score of a whole item is 1."""
        search = self.search
        sizes = np.diff(search.lexemes.text_ends)[rows[:, 1]]
        long = rows[:, 3] >= np.minimum(RUN, sizes)
        for j in np.flatnonzero(long & (rows[:, 3] < sizes)):  # a whole item was weighed before
            words = np.unique(word_ids[rows[j, 2] : rows[j, 2] + rows[j, 3]])
            long[j] = search.words.idf[words].sum() >= FLOOR and self._shingles(rows[j]) >= SHINGLES
        held = (scores >= CONTAINED) & (sizes >= SHORT)
        scores = np.where(held, scores, rows[:, 3] / np.maximum(sizes, 1))
        scores[rows[:, 3] >= sizes] = 1.0
        run = long & (~held | (rows[:, 3] >= sizes))
        rows[run, 5], rows[run, 6], rows[run, 7] = rows[run, 2], rows[run, 3], rows[run, 3]
        self._whole(rows, ~run)
        good = long | held
        return rows[good], scores[good]

    def _whole(self, rows: NDArray[np.int64], chosen: NDArray[np.bool_]) -> None:
        """Let rows that a window gives name the whole item, and the lexemes that both share as their length."""
        ends = self.search.lexemes.text_ends
        item = rows[chosen, 1]
        rows[chosen, 3], rows[chosen, 4], rows[chosen, 7] = rows[chosen, 7], ends[item], ends[item + 1] - ends[item]

    def _shingles(self, row: NDArray[np.int64]) -> float:
        """What the shingles of a run weigh."""
        view = self.search.views["verbatim"]
        ids = np.unique(view.ids[row[4] : row[4] + row[3] - view.k + 1])
        return float(_information(view.keys.idf[ids[ids >= 0]].sum(), row[3], view.k))


def _meet(
    view: _View, values: NDArray[np.uint64], ids: NDArray[np.int32] | None, seeds: NDArray[np.int32] | None,
    ends: NDArray[np.int64], least: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:  # fmt: skip
    """Return the rows and scores of `windows.find_items`."""
    if view.post_item.size == 0:
        return np.zeros((0, 8), np.int64), np.zeros(0)
    if ids is None or seeds is None:
        ids = seeds = view.keys.ids(_grams(values, ends, view.k))
    room = 256
    stamp, seen = np.zeros(view.keys.keys.size + 1, np.int32), np.zeros(view.keys.keys.size + 1, np.int32)
    while True:
        rows, scores = np.zeros((room, 8), np.int64), np.zeros(room)
        used = windows.find_items(
            values, ids, seeds, ends, view.values, view.ids, view.ends, view.posts, view.post_item, view.post_place,
            view.keys.idf, view.weights, view.k, least, 1, stamp, seen, rows, scores,
        )  # fmt: skip
        if used <= room:
            return rows[:used], scores[:used]
        room = used
        stamp[:], seen[:] = 0, 0


def _rows(piece: Piece, found: _Evidence) -> Iterator[pa.Table]:
    """Yield HITS of one piece; of several kinds of evidence for one text and item the first."""
    search, lexemes, parts = found
    rows = np.concatenate([r for _, r, _ in parts])
    if rows.shape[0] == 0:
        return
    scores = np.concatenate([s for _, _, s in parts])
    names = np.concatenate([np.full(len(r), i) for i, (_, r, _) in enumerate(parts)])
    _, first = np.unique(rows[:, 0] * search.items.count + rows[:, 1], return_index=True)
    rows, scores, names = rows[first], scores[first], names[first]
    texts, items = rows[:, 0], rows[:, 1]
    begin, last = rows[:, 5], rows[:, 5] + rows[:, 6] - 1
    spans = _spans(piece.data, piece.ends, texts, lexemes.starts[begin], lexemes.ends[last])
    at, end = rows[:, 4], rows[:, 4] + rows[:, 7] - 1
    own = _spans(search.items.data, search.items.ends, items, search.lexemes.starts[at], search.lexemes.ends[end])
    kinds = np.array([kind for kind, _, _ in parts], "U16")[names]
    kinds[_secondary(rows, scores, kinds)] = "item-secondary"
    yield pa.table(
        [
            pa.array(piece.rows[texts]), piece.fields.take(pa.array(texts)), *(pa.array(s) for s in spans),
            pa.array(kinds.tolist(), pa.string()), pa.array(items), pa.array(own[2]), pa.array(own[3]),
            pa.array(rows[:, 3]), pa.array(scores),
        ],
        schema=HITS,
    )  # fmt: skip


def _secondary(
    rows: NDArray[np.int64], scores: NDArray[np.float64], kinds: NDArray[np.str_]
) -> NDArray[np.bool_]:  # fmt: skip
    """Return which hits better evidence explains, see the head of this file."""
    renamed = kinds == "item-renamed"
    order = np.lexsort((-scores, -rows[:, 3], renamed))
    strength = np.stack([renamed, rows[:, 3], scores], axis=1)[order]
    groups = np.cumsum(np.append(0, np.any(strength[1:] != strength[:-1], axis=1)))
    begins = rows[order, 5]
    covered = np.zeros(order.size, np.bool_)
    windows.mark_covered(begins, begins + rows[order, 6] - 1, groups, covered)
    out = np.zeros(order.size, np.bool_)
    out[order] = covered
    out &= renamed | (scores < CONTAINED)
    return out


def _spans(
    data: NDArray[np.uint8], ends: NDArray[np.int64], texts: NDArray[np.int64], start: NDArray[np.int64],
    end: NDArray[np.int64],
) -> tuple[NDArray[np.int64], ...]:  # fmt: skip
    """Return code points and lines of byte spans: start, end, line, last line."""
    out = tuple(np.zeros(texts.size, np.int64) for _ in range(4))
    order = np.argsort(texts, kind="stable")
    for chosen in np.split(order, np.flatnonzero(np.diff(texts[order])) + 1):
        text = texts[chosen[0]]
        offsets = np.concatenate([start[chosen], end[chosen]]).astype(np.int64) - ends[text]
        points, lines = places(data, int(ends[text]), int(ends[text + 1]), offsets)
        half = chosen.size
        out[0][chosen], out[1][chosen], out[2][chosen], out[3][chosen] = (
            points[:half], points[half:], lines[:half], lines[half:],
        )  # fmt: skip
    return out
