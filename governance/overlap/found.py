"""overlaps by place in the file -> the table OVERLAPS: who the samples are, what is allowed, names shown safely."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.samples import OVERLAPS

WHO = ("n", "file", "row", "sample_id")

FOUND = pa.schema(
    [("place", pa.int64()), *((f.name, f.type) for f in OVERLAPS if f.name not in (*WHO, "allowed"))]
)  # fmt: skip
"""As OVERLAPS, with the place of the sample in its file for the columns that say who it is."""

_SOURCE = ("source", "source_repository", "source_path")


def name_samples(
    found: Sequence[pa.Table], samples: Path, *, allow: Sequence[str] = (), mask: Callable[[str], str] = str
) -> pa.Table:
    """
    Return OVERLAPS, ordered by n, field, start, class, source.

    Args:
        found: tables of schema FOUND over the Arrow IPC file *samples*.
        allow: patterns (``*``, ``?``) of a source, its repository or its path; what one fits is marked, never left out.
        mask: hides what is sensitive in a name; sources are named by others.
    """
    rows = pa.concat_tables([FOUND.empty_table(), *found]).combine_chunks()
    places = rows["place"].combine_chunks() if rows.num_rows else pa.array([], pa.int64())
    with pa.memory_map(str(samples)) as source:
        reader = pa.ipc.open_file(source)
        batches = [reader.get_batch(k).select(list(WHO)) for k in range(reader.num_record_batches)]
        who = pa.Table.from_batches(batches, reader.schema.empty_table().select(list(WHO)).schema).take(places)
    allowed = np.zeros(rows.num_rows, np.bool_)
    columns = {name: who[name] for name in WHO}
    for name in FOUND.names[1:]:
        column = rows[name]
        if name in _SOURCE:
            allowed |= _each(column, lambda text: any(fnmatchcase(text, p) for p in allow), pa.bool_()).to_numpy(
                zero_copy_only=False
            )
        if name in (*_SOURCE, "source_licence", "index"):
            column = _each(column, mask, pa.string())
        columns[name] = column
    columns["allowed"] = pa.array(allowed)
    table = pa.table([columns[name] for name in OVERLAPS.names], schema=OVERLAPS)
    keys = ("n", "field", "start", "end", "class", "index", "source", "source_line")
    return table.sort_by([(key, "ascending") for key in keys]).combine_chunks()


def _each(column: pa.ChunkedArray, change: Callable[[str], object], type_: pa.DataType) -> pa.Array:
    """Apply *change* to every distinct text once; null stays null, or false."""
    coded = column.combine_chunks().dictionary_encode()
    coded = coded if isinstance(coded, pa.DictionaryArray) else coded.combine_chunks()
    values = pa.array([change(text) for text in coded.dictionary.to_pylist()], type_)
    out = values.take(coded.indices)
    return pc.fill_null(out, False) if pa.types.is_boolean(type_) else out
