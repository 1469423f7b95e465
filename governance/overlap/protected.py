"""samples, a source index -> what each sample shares with protected sources.

Of one text and one source:

* *verbatim*: they share a run of at least *least* lexemes (50 and more are found without exception, see `winnow`);
* *containment*: runs of 25 lexemes and more of the source make up at least 0.8 of an output, or the whole source, of at
  least 25 lexemes, stands in the text;
* *renamed*: they share a run of at least *least* lexemes of the renamed view, and no verbatim one that long.

One row per text and source: the longest run, with the first kind of evidence of the three. Prompts count like outputs,
but for the share that is covered: an instruction of three words is in any manual. What many sources hold is not left
out; df tells how many do, and the pipeline's list of allowed sources is what excuses it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.languages.lexer import LANGUAGES, lex_texts
from governance.overlap.found import FOUND
from governance.overlap.lookup import SourceIndex, coverage
from governance.overlap.texts import OUTPUT, Piece, read_pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CONTAINED = 0.8
LEAST_CONTAINED = 25  # lexemes
SOURCES_NAMED = 200  # for a stretch: the list of allowed sources must not be judged by the first few
VERBATIM, CONTAINMENT, RENAMED, NONE = range(4)
CLASSES = ("verbatim", "containment", "renamed")


def source_names(index: SourceIndex) -> pa.Array:
    """Return what every source of *index* is called: name/path, with the record or the item behind a ``#``."""
    rows = index.sources.select(["kind", "name", "path", "row", "item"]).to_pylist()
    return pa.array([_name(row) for row in rows], pa.string())


def _name(row: dict[str, Any]) -> str:
    path = "/".join(part for part in (row["name"], row["path"]) if part)
    if row["item"]:
        return f"{row['name']}#{row['item']}"
    return f"{path}#{row['row']}" if row["kind"] != "file" and row["row"] is not None else path


def benchmark_sources(index: SourceIndex) -> NDArray[np.bool_]:
    """Return which sources of *index* are benchmark items."""
    kinds = index.sources["kind"]
    return np.asarray(pc.equal(kinds, "benchmark").to_numpy()) if len(kinds) else np.zeros(0, np.bool_)


def find_protected(
    samples: Path, index: SourceIndex, *, name: str, least: int = 50, progress: Callable[[int], None] | None = None,
    unfinished: list[int] | None = None,
) -> pa.Table:  # fmt: skip
    """
    Return what the texts of the Arrow IPC file *samples* share with the sources of *index*, schema FOUND.

    Benchmark items of an index with text are left to `benchmark`; those of a keyed one can only be seen as runs, and
    are rows of the classes *item* and *item-renamed* here.

    Args:
        name: of the index, as the rows call it.
        least: lexemes, at least 50.
        progress: told how many texts more are done.
        unfinished: filled with the rows of texts of which `SourceIndex.find` did not look at every place.
    """
    names, items = source_names(index), benchmark_sources(index)
    tables = []
    if index.keyed or not items.all():
        for piece in read_pieces(samples):
            tables.append(_piece(piece, index, names, items, name, least, unfinished))
            if progress:
                progress(piece.rows.size)
    return pa.concat_tables([FOUND.empty_table(), *tables])


def _piece(
    piece: Piece, index: SourceIndex, names: pa.Array, items: NDArray[np.bool_], name: str, least: int,
    unfinished: list[int] | None,
) -> pa.Table:  # fmt: skip
    texts = pa.LargeStringArray.from_buffers(piece.ends.size - 1, pa.py_buffer(piece.ends), pa.py_buffer(piece.data))
    spoken = [LANGUAGES[i] for i in piece.languages]
    runs = index.find(texts, least=LEAST_CONTAINED, languages=spoken, limit=SOURCES_NAMED)
    late = json.loads((runs.schema.metadata or {}).get(b"unfinished", b"[]"))
    if unfinished is not None:
        unfinished.extend(piece.rows[late].tolist())
    if not index.keyed and items.any():
        runs = runs.filter(pa.array(~items[runs["source"].to_numpy()]))
    if not runs.num_rows:
        return FOUND.empty_table()
    best, kinds, scores = _judge(piece, runs, least)
    chosen = runs.take(pa.array(best))
    sources = chosen["source"].combine_chunks()
    shown = np.where(items[sources.to_numpy()], kinds + len(CLASSES), kinds)
    names_of_kinds = pa.array([*CLASSES, "item", "item", "item-renamed"])
    about = index.sources.take(sources)
    columns = {
        "place": pa.array(piece.rows[chosen["text"].to_numpy()]),
        "field": piece.fields.take(chosen["text"].combine_chunks()),
        "start": chosen["char_start"], "end": chosen["char_end"],
        "line": chosen["line"], "end_line": chosen["end_line"],
        "class": names_of_kinds.take(pa.array(shown)),
        "source": names.take(sources),
        "source_repository": about["repository"], "source_path": about["path"], "source_licence": about["licence"],
        "source_line": chosen["source_line"], "source_end_line": chosen["source_end_line"],
        "lexemes": chosen["lexemes"], "score": pa.array(scores), "df": chosen["df"],
        "index": pa.array([name] * len(best), pa.string()),
    }  # fmt: skip
    return pa.table([columns[n] for n in FOUND.names], schema=FOUND)


def _judge(
    piece: Piece, runs: pa.Table, least: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return per text and source with evidence: the row of its longest run, the kind, the share of the text."""
    text, source, lexemes = (runs[n].to_numpy() for n in ("text", "source", "lexemes"))
    renamed = np.asarray(pc.equal(runs["view"], "renamed").to_numpy())
    covered = _covered(piece, runs)
    whole = runs["whole"].to_numpy() & (lexemes >= LEAST_CONTAINED)
    outputs = piece.roles[text] == OUTPUT
    kind = np.full(text.size, NONE)
    kind[renamed & (lexemes >= least)] = RENAMED
    kind[~renamed & (whole | (outputs & (covered >= CONTAINED)))] = CONTAINMENT
    kind[~renamed & (lexemes >= least)] = VERBATIM
    order = np.lexsort((np.arange(text.size), -lexemes, kind, source, text))
    order = order[kind[order] != NONE]
    first = np.ones(order.size, np.bool_)
    first[1:] = (text[order[1:]] != text[order[:-1]]) | (source[order[1:]] != source[order[:-1]])
    best = order[first]
    return best, kind[best], covered[best]


def _covered(piece: Piece, runs: pa.Table) -> NDArray[np.float64]:
    """Return per run the share of its text's lexemes, in its view, that all runs of its source cover."""
    sizes = _sizes(piece, runs["text"].to_numpy())
    spread = coverage(runs)
    of_spread = zip(*(spread[n].to_pylist() for n in ("text", "view", "source")), strict=True)
    keys = dict(zip(of_spread, spread["lexemes"].to_pylist(), strict=True))
    of_run = zip(*(runs[n].to_pylist() for n in ("text", "view", "source")), strict=True)
    return np.array([min(keys[key] / max(sizes[key[1]][key[0]], 1), 1.0) for key in of_run])


def _sizes(piece: Piece, texts: NDArray[np.int64]) -> dict[str, dict[int, int]]:
    """Return per view the lexemes of the *texts*."""
    wanted = np.unique(texts)
    parts = [piece.data[piece.ends[t] : piece.ends[t + 1]] for t in wanted]
    ends = np.concatenate([[0], np.cumsum([p.size for p in parts])]).astype(np.int64)
    lexed = lex_texts(np.concatenate(parts), ends, piece.languages[wanted], places=False)
    folded = np.searchsorted(np.flatnonzero(lexed.renamed), lexed.text_ends)
    return {
        "verbatim": dict(zip(wanted.tolist(), np.diff(lexed.text_ends).tolist(), strict=True)),
        "renamed": dict(zip(wanted.tolist(), np.diff(folded).tolist(), strict=True)),
    }
