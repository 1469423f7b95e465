"""the benchmark items of source indexes -> Items: their texts, one after another, and what each is called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from governance.overlap.benchmark import Items
from governance.overlap.index import open_segments
from governance.overlap.lookup import SourceIndex
from governance.overlap.protected import benchmark_sources, source_names


def read_items(indexes: Sequence[tuple[str, SourceIndex]]) -> Items:
    """
    Return every text of every benchmark item in the *indexes*, given as (name, index); each text is an item of its own.

    An item's text is called ``benchmark#item/field``.

    None of them may be keyed: those hold no text.
    """
    parts: list[bytes] = []
    languages: list[int] = []
    rows: dict[str, list[str | None]] = {name: [] for name in ("source", "repository", "path", "licence", "index")}
    for name, index in indexes:
        names = source_names(index)
        items = benchmark_sources(index)
        for segment in open_segments(index.folder, index.manifest):
            chosen = np.flatnonzero(items[segment.source_of + segment.first])
            fields = segment.fields.take(pa.array(chosen)).to_pylist()
            sources = (segment.source_of[chosen] + segment.first).tolist()
            about = index.sources.select(["repository", "path", "licence"]).take(pa.array(sources, pa.int64()))
            languages += segment.languages[chosen].tolist()
            parts += [segment.data[segment.starts[t] : segment.ends[t]].tobytes() for t in chosen.tolist()]
            shown = names.take(pa.array(sources, pa.int64())).to_pylist()
            rows["source"] += [f"{s}/{field}" if field else s for s, field in zip(shown, fields, strict=True)]
            for column in ("repository", "path", "licence"):
                rows[column] += about[column].to_pylist()
            rows["index"] += [name] * len(sources)
    data = np.frombuffer(b"".join(parts) or b" ", np.uint8)
    ends = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    table = pa.table({name: pa.array(values, pa.string()) for name, values in rows.items()})
    return Items(data, ends, np.array(languages, np.uint8), table)
