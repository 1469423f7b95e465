"""a source index, texts -> every maximal run that a text shares with a source, with places on both sides."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.errors import SourceIndexError
from governance.languages.detect import language_ids
from governance.languages.lexer import lex_texts
from governance.overlap.index import SOURCES, VIEWS, Segment, check_parts, open_segments, read_manifest
from governance.overlap.keyed import key_check
from governance.overlap.runs import Query, Runs
from governance.overlap.search import Search
from governance.overlap.winnow import GUARANTEED, K, count_holders, view_lexemes

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 1 << 20  # bytes of query text that are looked up together

Texts: TypeAlias = "pa.Array | pa.ChunkedArray | Sequence[str | None]"

RUNS = pa.schema(
    [
        ("text", pa.int64()),  # number of the query text
        ("view", pa.string()),  # verbatim, renamed
        ("start", pa.int64()),  # bytes of the query text in UTF-8, half-open
        ("end", pa.int64()),
        ("char_start", pa.int64()),  # code points of the query text
        ("char_end", pa.int64()),
        ("line", pa.int64()),  # of the query text, from 1
        ("end_line", pa.int64()),
        ("first", pa.int64()),  # number of its first lexeme among those of the query text in the view, from 0
        ("lexemes", pa.int64()),  # of the view; in a keyed index the least it can be
        ("source", pa.int64()),  # row of SourceIndex.sources
        ("field", pa.string()),  # of the source, where it has several texts
        ("source_start", pa.int64()),  # bytes of that text of the source, half-open; null in a keyed index
        ("source_end", pa.int64()),
        ("source_line", pa.int64()),  # from 1
        ("source_end_line", pa.int64()),
        ("df", pa.int64()),  # sources that hold all of the run; where `more` is true, how many may hold it
        ("whole", pa.bool_()),  # the run is all of that text of the source
        ("exact", pa.bool_()),  # false in a keyed index: seen from fingerprints only
        ("more", pa.bool_()),  # more sources than are listed hold the run, or may
    ]
)


class _Lexed(NamedTuple):
    """A chunk of query texts: its bytes, where each text starts, and per view the lexemes and their byte offsets."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    views: dict[str, tuple[Query, NDArray[np.int64], NDArray[np.int64]]]


class SourceIndex:
    """
    An opened index; see `open`.

    Attributes:
        sources: schema `index.SOURCES`, one row per source in the order they were added; the numbers in `find`.
        keyed: whether it holds keyed fingerprints and no text.
        manifest: the counts of its segments, and what it was made with.
        threads: that many texts are looked up at a time; the result does not depend on it.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], segments: Sequence[Segment], key: bytes | None) -> None:
        self.folder = folder
        self.manifest = manifest
        self.keyed: bool = manifest["keyed"]
        self.sources = pa.concat_tables([s.sources for s in segments]) if segments else SOURCES.empty_table()
        self.threads = len(os.sched_getaffinity(0))
        self._segments = segments
        self._key = key

    @classmethod
    def open(cls, folder: Path, key: bytes | None = None, *, verify: bool = True) -> SourceIndex:
        """
        Open the index in *folder* and map it into memory.

        Args:
            key: the key that a keyed index was made with.
            verify: compare the SHA-256 of every part with the manifest, which reads all of it; without, sizes only.

        Raises:
            SourceIndexError: it is missing, damaged, cut short, of another version, or *key* is not its key.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if manifest["keyed"] and key is None:
            raise SourceIndexError(f"{folder}: the index is keyed and can be asked only with its key; give --key FILE")
        if manifest["keyed"] and not hmac.compare_digest(key_check(key or b""), manifest["key_check"]):
            raise SourceIndexError(f"{folder}: the index was made with another key")
        check_parts(folder, manifest, contents=verify)
        return cls(folder, manifest, open_segments(folder, manifest), key if manifest["keyed"] else None)

    def __len__(self) -> int:
        return int(self.sources.num_rows)

    def texts_of(self, source: int) -> list[tuple[str, str]]:
        """
        Return the stored texts of a source: (field, text), the field empty for a file.

        Raises:
            SourceIndexError: the index is keyed and holds no text.
        """
        if self.keyed:
            raise SourceIndexError(f"{self.folder}: the index is keyed; it holds no text")
        segment = next(s for s in self._segments if s.first <= source < s.first + s.sources.num_rows)
        first, last = np.searchsorted(segment.source_of, [source - segment.first, source - segment.first + 1])
        return [
            (
                segment.fields[int(i)].as_py(),
                segment.data[segment.starts[i] : segment.ends[i]].tobytes().decode("utf-8", "replace"),
            )
            for i in range(first, last)
        ]

    def lexemes_of(self, view: str = "verbatim") -> NDArray[np.int64]:
        """Return the number of lexemes of every source in one view, shape (sources,)."""
        none = np.empty(0, np.int64)
        return np.concatenate(
            [none]
            + [
                np.bincount(s.source_of, np.diff(s.view_ends[view]), s.sources.num_rows).astype(np.int64)
                for s in self._segments
            ]
        )

    def find(
        self,
        texts: Texts,
        *,
        least: int = GUARANTEED,
        views: Sequence[str] = VIEWS,
        languages: Sequence[str] | None = None,
        limit: int = 200,
        short: int = 0,
    ) -> pa.Table:
        """
        Return every maximal run of at least *least* lexemes that a text shares with a source, schema `RUNS`.

        A run is maximal where the lexeme before it and the one after differ. Of runs of one text with one source, those
        inside another one are left out. A source that is shorter than *least* is found where it stands whole.
        All runs of 50 lexemes or more are found; of shorter ones those that happen to hold a fingerprint.

        Args:
            least: lexemes of the view, 1 or more.
            languages: of the texts, by any name; guessed from the content without them. Matters to the view renamed.
            limit: sources reported per text and view, those with the longest runs; ``more`` tells of others.
            short: sources of this many lexemes up to 24 are found too, where they stand whole in a text; 0 for none.

        Returns:
            Ordered by text, view, place and source. A text whose 200,000 likeliest places showed no run and that has
            more of them is named in the schema's metadata under ``unfinished``, a JSON list.
        """
        if least < 1:
            raise ValueError(f"least is {least}, expected 1 or more")
        found, unfinished = [RUNS.empty_table()], []

        def look(chunk: Any) -> tuple[pa.Table, list[int]]:
            first, data, offsets, spoken = chunk
            return self._find(first, _lex(data, offsets, spoken, views), least, views, limit, short)

        chunks = list(_chunks(texts, languages))
        if len(chunks) < 2:
            results = [look(chunk) for chunk in chunks]
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                results = list(pool.map(look, chunks))
        for table, late in results:
            found.append(table)
            unfinished += late
        runs = pa.concat_tables(found)
        return runs.replace_schema_metadata({"unfinished": json.dumps(unfinished)}) if unfinished else runs

    def _find(
        self, first: int, lexed: _Lexed, least: int, views: Sequence[str], limit: int, short: int
    ) -> tuple[pa.Table, list[int]]:
        rows: list[tuple[NDArray[Any], ...]] = []
        unfinished: set[int] = set()
        for view in views:
            query, starts, ends = lexed.views[view]
            for size in (K, *self._short_sizes(view, short)):
                search = Search(self._segments, view, query, size, self._key)
                runs = search.run(least)
                unfinished |= set((search.unfinished + first).tolist())
                for number, found in enumerate(runs):
                    if found.at.size:
                        rows.append(self._rows(view, number, found, search, query.ends, starts, ends))
        if not rows:
            return RUNS.empty_table(), sorted(unfinished)
        columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
        return self._table(_Rows(*columns), lexed, first, limit), sorted(unfinished)

    def _short_sizes(self, view: str, short: int) -> list[int]:
        if not short:
            return []
        none = np.empty(0, np.int64)
        found = np.unique(np.concatenate([none, *(np.unique(np.diff(s.view_ends[view])) for s in self._segments)]))
        return [int(n) for n in found if short <= n < K]

    def _rows(
        self, view: str, number: int, runs: Runs, search: Search, first_lexemes: NDArray[np.int64],
        starts: NDArray[np.int64], ends: NDArray[np.int64],
    ) -> _Rows:  # fmt: skip
        segment = self._segments[number]
        complete, most = search.known(runs)
        sizes = np.diff(segment.view_ends[view])[runs.source_text]
        return _Rows(
            np.full(runs.at.size, VIEWS.index(view)), runs.text, starts[runs.at], ends[runs.at + runs.lexemes - 1],
            runs.at - first_lexemes[runs.text], runs.lexemes, np.full(runs.at.size, number), runs.source_text,
            segment.source_of[runs.source_text] + segment.first, runs.start, runs.end, runs.line, runs.end_line, most,
            runs.lexemes == sizes, ~complete,
        )  # fmt: skip

    def _table(self, rows: _Rows, lexed: _Lexed, first: int, limit: int) -> pa.Table:
        rows = rows.where(_outermost(rows))  # by view, text, source
        holders = np.empty(rows.text.size, np.int64)
        count_holders(rows.text * len(VIEWS) + rows.view, rows.source, rows.start, rows.end, holders)
        rows = rows._replace(df=np.where(rows.hot, np.maximum(rows.df, holders), holders))
        kept, cut = _longest_sources(rows, limit)
        rows = rows.where(kept)
        cut = cut[kept]
        order = np.lexsort((rows.source_start, rows.source, rows.end, rows.start, rows.view, rows.text))
        rows, cut = rows.where(order), cut[order]
        newline, inner = np.flatnonzero(lexed.data == 10), np.flatnonzero((lexed.data & 0xC0) == 0x80)
        begin = lexed.offsets[rows.text]
        lines, chars = (_counter(marks, begin) for marks in (newline, inner))
        start, end = rows.start - begin, rows.end - begin
        places, fields = self._source_places(rows)
        columns = [
            rows.text + first,
            pa.DictionaryArray.from_arrays(rows.view.astype(np.int8), list(VIEWS)).cast(pa.string()),
            start, end, start - chars(rows.start), end - chars(rows.end),
            lines(rows.start) + 1, lines(rows.end) + 1,
            rows.first, rows.lexemes, rows.source, fields, *places,
            rows.df, rows.whole, np.full(rows.text.size, not self.keyed), rows.hot | cut,
        ]  # fmt: skip
        arrays = [c if isinstance(c, (pa.Array, pa.ChunkedArray)) else pa.array(c) for c in columns]
        return pa.table(arrays, schema=RUNS)

    def _source_places(self, rows: _Rows) -> tuple[list[Any], pa.Array]:
        """Return bytes and lines of the runs in the texts of their sources, nulls in a keyed index, and the fields."""
        count = rows.text.size
        fields = np.empty(count, object)
        places = np.zeros((4, count), np.int64)
        for number, segment in enumerate(self._segments):
            mine = np.flatnonzero(rows.segment == number)
            if not mine.size:
                continue
            text = rows.source_text[mine]
            fields[mine] = segment.fields.take(pa.array(text)).to_pylist()
            if self.keyed:
                continue
            begin = segment.starts[text]
            places[0, mine], places[1, mine] = rows.source_start[mine] - begin, rows.source_end[mine] - begin
            places[2, mine], places[3, mine] = rows.source_line[mine], rows.source_end_line[mine]
        nulls = [pa.nulls(count, pa.int64())] * 4
        return (nulls if self.keyed else list(places)), pa.array(fields.tolist(), pa.string())


class _Rows(NamedTuple):
    """Runs as flat columns of shape (r,); query places count from the start of the chunk, source places of text.bin."""

    view: NDArray[np.int64]
    text: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    first: NDArray[np.int64]
    lexemes: NDArray[np.int64]
    segment: NDArray[np.int64]
    source_text: NDArray[np.int64]
    source: NDArray[np.int64]
    source_start: NDArray[np.int64]
    source_end: NDArray[np.int64]
    source_line: NDArray[np.int64]
    source_end_line: NDArray[np.int64]
    df: NDArray[np.int64]
    whole: NDArray[np.bool_]
    hot: NDArray[np.bool_]

    def where(self, chosen: NDArray[Any]) -> _Rows:
        return _Rows(*(column[chosen] for column in self))


def _outermost(rows: _Rows) -> NDArray[np.int64]:
    """Positions of the runs that lie inside no other run of the same view, text and source; of equal ones the first."""
    order = np.lexsort((rows.source_start, -rows.end, rows.start, rows.source, rows.text, rows.view))
    keys = np.stack([rows.view, rows.text, rows.source])[:, order]
    new = np.ones(order.size, np.bool_)
    new[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    group = np.cumsum(new) - 1
    span = int(rows.end.max(initial=0)) + 1
    reach = np.maximum.accumulate(group * span + rows.end[order])
    keep = new.copy()
    keep[1:] |= group[1:] * span + rows.end[order[1:]] > reach[:-1]
    return order[keep]


def _longest_sources(rows: _Rows, limit: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Per run: is its source among the *limit* with the longest runs of its text and view; is any source not."""
    order = np.lexsort((rows.source, -rows.lexemes, rows.view, rows.text))
    group = rows.text * len(VIEWS) + rows.view
    rank = np.empty(order.size, np.int64)
    seen: dict[tuple[int, int], int] = {}
    sizes: dict[int, int] = {}
    for i in order.tolist():
        key = int(group[i]), int(rows.source[i])
        if key not in seen:
            seen[key] = sizes.get(key[0], 0)
            sizes[key[0]] = seen[key] + 1
        rank[i] = seen[key]
    totals = np.array([sizes[g] for g in group.tolist()], np.int64)
    return rank < limit, totals > limit


def _counter(marks: NDArray[np.int64], begin: NDArray[np.int64]) -> Any:
    before = np.searchsorted(marks, begin)
    return lambda places: np.searchsorted(marks, places) - before


def _chunks(
    texts: Texts, languages: Sequence[str] | None
) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.int64], Sequence[str] | None]]:
    """Yield (number of the first text, bytes, offsets, languages) of about 1 MiB of texts at a time; null is empty."""
    if isinstance(texts, (pa.Array, pa.ChunkedArray)):
        column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        column = pc.fill_null(column.cast(pa.large_string()), "")
    else:  # lone surrogates are no Arrow string, and may stand in a list
        column = pa.array([(text or "").encode("utf-8", "surrogatepass") for text in texts], pa.large_binary())
    _, ends, values = column.buffers()
    offsets = np.frombuffer(ends, np.int64)[column.offset : column.offset + len(column) + 1] if len(column) else None
    data = np.frombuffer(values, np.uint8) if values is not None and values.size else np.zeros(0, np.uint8)
    first = 0
    while offsets is not None and first < len(column):
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + CHUNK, "right")) - 1)
        spoken = None if languages is None else languages[first:last]
        yield first, data[offsets[first] : offsets[last]], offsets[first : last + 1] - offsets[first], spoken
        first = last


def _lex(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], languages: Sequence[str] | None, views: Sequence[str]
) -> _Lexed:
    numbers = np.zeros(offsets.size - 1, np.uint8)
    if "renamed" in views:
        numbers = language_ids(languages, None, data, offsets)
    lexed = lex_texts(data, offsets, numbers, renamed="renamed" in views)
    found = {}
    every = np.arange(lexed.verbatim.size, dtype=np.int64)
    starts, ends = lexed.starts.astype(np.int64), lexed.ends.astype(np.int64)
    for view in views:
        values, at, text_ends = view_lexemes(getattr(lexed, view), every, lexed.text_ends)
        found[view] = (Query(values, text_ends), starts[at], ends[at])
    return _Lexed(data, offsets, found)


def coverage(runs: pa.Table) -> pa.Table:
    """
    Return how much of each text its runs cover, per source and view: text, view, source, lexemes.

    Lexemes that two runs of one source share count once. *runs* is what `SourceIndex.find` returned; divided by the
    lexemes of the text or of the source, it is their containment as far as runs of the length asked for show it.
    """
    ordered = runs.select(["text", "view", "source", "first", "lexemes"]).sort_by(
        [(name, "ascending") for name in ("text", "view", "source", "first")]
    )
    text, source, first, size = (ordered[n].to_numpy() for n in ("text", "source", "first", "lexemes"))
    view = ordered["view"].combine_chunks().dictionary_encode().indices.to_numpy()
    new = np.ones(text.size, np.bool_)
    new[1:] = (text[1:] != text[:-1]) | (view[1:] != view[:-1]) | (source[1:] != source[:-1])
    group = np.cumsum(new) - 1
    span = int((first + size).max(initial=0)) + 1
    end = group * span + first + size
    before = np.concatenate([[0], np.maximum.accumulate(end)[:-1]]) if end.size else end
    covered = end - np.maximum(np.maximum(before, group * span + first), 0)
    total = np.bincount(group, np.maximum(covered, 0)).astype(np.int64) if end.size else end
    heads = ordered.select(["text", "view", "source"]).take(pa.array(np.flatnonzero(new)))
    return heads.append_column("lexemes", pa.array(total, pa.int64()))
