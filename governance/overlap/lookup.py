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
from governance.overlap.choose import choose_groups, count_holders, group_runs, outer_runs
from governance.overlap.index import SOURCES, VIEWS, Segment, check_parts, open_segments, read_manifest
from governance.overlap.keyed import key_check
from governance.overlap.runs import Query, Runs
from governance.overlap.search import Search
from governance.overlap.winnow import GUARANTEED, K, view_lexemes

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 1 << 19  # bytes of query text that are looked up together
LIMIT = 10  # sources named for a stretch

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
        fields = [chunk for s in segments for chunk in s.fields.chunks]
        self._fields = pa.concat_arrays(fields) if fields else pa.array([], pa.string())  # of all texts of the index

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
        limit: int = LIMIT,
        short: int = 0,
    ) -> pa.Table:
        """
        Return every maximal run of at least *least* lexemes that a text shares with a source, schema `RUNS`.

        A run is maximal where the lexeme before it and the one after differ. Of runs of one text with one source, those
        inside another one are left out. A source that is shorter than *least* is found where it stands whole.
        All runs of 50 lexemes or more are found; of shorter ones those that happen to hold a fingerprint.

        A source is passed over only where *limit* others that are named show every stretch of min(*least*, 50) lexemes
        of each of its runs, but for two lexemes at either end. Those with the longest runs are named first, then those
        that come first. A source that is named, is named with all of its runs.

        Args:
            least: lexemes of the view, 1 or more.
            languages: of the texts, by any name; guessed from the content without them. Matters to the view renamed.
            limit: sources named for a stretch of a text and view; ``df`` counts the others, ``more`` tells of them.
            short: sources of this many lexemes up to 24 are found too, where they stand whole in a text; 0 for none.

        Returns:
            Ordered by text, view, place and source. A text whose 200,000 likeliest places showed no run and that has
            more of them is named in the schema's metadata under ``unfinished``, a JSON list.
        """
        if least < 1 or limit < 1:
            raise ValueError(f"least is {least} and limit {limit}, expected 1 or more")
        found, unfinished = [], []

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
        runs = pa.concat_tables(found) if len(found) > 1 else found[0] if found else RUNS.empty_table()
        return runs.replace_schema_metadata({"unfinished": json.dumps(unfinished)}) if unfinished else runs

    def _find(
        self, first: int, lexed: _Lexed, least: int, views: Sequence[str], limit: int, short: int
    ) -> tuple[pa.Table, list[int]]:
        unfinished: set[int] = set()
        rows = []
        for view in sorted(views, key=VIEWS.index):
            query, starts, ends = lexed.views[view]
            searches = [
                Search(self._segments, view, query, least=least, limit=limit, size=size, key=self._key)
                for size in (K, *self._short_sizes(view, short))
            ]
            for search in searches:
                unfinished |= set((search.unfinished + first).tolist())
            named = _named(searches, least, limit, query.values.size)
            if named is not None:
                rows.append((view, *named, starts, ends, query.ends))
        late = sorted(unfinished)
        return (self._table(rows, lexed, first) if rows else RUNS.empty_table()), late

    def _short_sizes(self, view: str, short: int) -> list[int]:
        if not short:
            return []
        none = np.empty(0, np.int64)
        found = np.unique(np.concatenate([none, *(np.unique(np.diff(s.view_ends[view])) for s in self._segments)]))
        return [int(n) for n in found if short <= n < K]

    def _table(self, rows: list[Any], lexed: _Lexed, first: int) -> pa.Table:
        newline, inner = np.flatnonzero(lexed.data == 10), np.flatnonzero((lexed.data & 0xC0) == 0x80)
        parts = []
        for view, runs, df, more, starts, ends, text_ends in rows:
            last = runs.at + runs.lexemes - 1
            where = np.full(runs.at.size, VIEWS.index(view))
            parts.append((where, df, more, starts[runs.at], ends[last], runs.at - text_ends[runs.text], *runs))
        columns = [np.concatenate(c) for c in zip(*parts, strict=True)] if len(parts) > 1 else list(parts[0])
        runs = Runs(*columns[6:])
        view, df, more, start, end, at = columns[:6]
        order = np.lexsort((runs.start, runs.place, runs.source, end, start, view, runs.text))
        runs = runs.where(order)
        view, df, more, start, end, at = (c[order] for c in (view, df, more, start, end, at))
        begin = lexed.offsets[runs.text]
        (first_line, last_line), (first_char, last_char) = (
            (np.searchsorted(marks, start) - before, np.searchsorted(marks, end) - before)
            for marks in (newline, inner)
            for before in (np.searchsorted(marks, begin),)
        )
        start, end = start - begin, end - begin
        first_texts = np.array([s.first_text for s in self._segments])
        places = (runs.start, runs.end, runs.line, runs.end_line)
        columns = [
            _int64s(runs.text + first), _VIEW_NAMES.take(_int64s(view)), *map(_int64s, (start, end)),
            *map(_int64s, (start - first_char, end - last_char, first_line + 1, last_line + 1)),
            *map(_int64s, (at, runs.lexemes, runs.source)),
            self._fields.take(_int64s(runs.source_text + first_texts[runs.segment])),
            *(pa.nulls(c.size, pa.int64()) if self.keyed else _int64s(c) for c in places),
            _int64s(df), pa.array(runs.whole > 0), pa.array(np.full(more.size, not self.keyed)), pa.array(more),
        ]  # fmt: skip
        return pa.Table.from_arrays(columns, schema=RUNS)


_VIEW_NAMES = pa.array(VIEWS)


def _int64s(values: NDArray[Any]) -> pa.Array:
    """*values* as an Arrow array, without a copy."""
    values = np.ascontiguousarray(values, np.int64)
    return pa.Array.from_buffers(pa.int64(), values.size, [None, pa.py_buffer(values)])


def _named(
    searches: Sequence[Search], least: int, limit: int, size: int
) -> tuple[Runs, NDArray[np.int64], NDArray[np.bool_]] | None:
    """
    Return what is named of one view: its runs, how many sources hold each, and whether there are more than are named.

    Args:
        size: lexemes of the query.
    """
    kept, hints, complete, most = [], [], [], []
    for search in searches:
        if not search.runs.at.size:
            continue
        known, bound = search.known(search.runs)
        kept.append(search.runs)
        hints.append(search.hints)
        complete.append(known)
        most.append(bound)
    if not kept:
        return None
    runs = Runs(*map(np.concatenate, zip(*kept, strict=True))) if len(kept) > 1 else kept[0]
    known, bound = np.concatenate(complete), np.concatenate(most)
    order = np.lexsort((runs.place, runs.segment, -runs.lexemes, runs.at, runs.source, runs.text))
    outer = np.empty(order.size, np.bool_)
    span = int(runs.source.max()) + 1
    outer_runs((runs.text * span + runs.source)[order], runs.at[order], runs.lexemes[order], outer)
    order = order[outer]
    runs, known, bound = runs.where(order), known[order], bound[order]
    named = _chosen(runs, least, limit, size)
    shown, known, bound = runs.where(named), known[named], bound[named]
    every = [(runs.text, runs.source, runs.at, runs.lexemes)]
    every += [(h.text, h.source, h.at, h.lexemes) for h in hints if h.at.size]
    text, source, at, lexemes = (np.concatenate(column) for column in zip(*every, strict=True))
    if len(every) > 1:
        by = np.lexsort((source, text))
        text, source, at, lexemes = text[by], source[by], at[by], lexemes[by]
    holders, listed = np.empty(shown.at.size, np.int64), np.empty(shown.at.size, np.int64)
    count_holders(shown.text, shown.at, shown.lexemes, text, source, at, lexemes, holders)
    count_holders(shown.text, shown.at, shown.lexemes, shown.text, shown.source, shown.at, shown.lexemes, listed)
    df = np.where(known, holders, np.maximum(holders, bound))
    return shown, df, ~known | (holders > listed)


def _chosen(runs: Runs, least: int, limit: int, size: int) -> NDArray[np.bool_]:
    """Which runs are of sources to be named, or else enough others show every stretch of theirs."""
    order, groups = group_runs(runs.text, runs.source, runs.lexemes)
    covers, shorts = np.zeros(size + 1, np.int32), np.zeros(size + 1, np.int32)
    found, named = np.empty(order.size, np.bool_), np.empty(order.size, np.bool_)
    forced = np.zeros(order.size, np.bool_)
    choose_groups(
        groups, runs.at[order], runs.lexemes[order], forced, min(least, GUARANTEED), 0, limit, covers, shorts, found
    )  # fmt: skip
    named[order] = found
    return named


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
