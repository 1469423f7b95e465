"""samples (Arrow IPC file) -> their texts, as flat buffers of a few MiB; and who the samples are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.dedup.arrays import arrow, arrow_words, numbers
from governance.samples import ROLES, SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTPUT = ROLES.index("output")
_PIECE = 4 << 20  # bytes of text that a thread takes at a time
WHO = pa.schema([SAMPLES.field(name) for name in ("n", "file", "row", "sample_id")])
"""Who a sample is."""


_ROLES = arrow_words(ROLES)


@dataclass(frozen=True)
class Places:
    """
    Who the samples are, in the order of the file, which is the order of ``n`` in every table here.

    Attributes:
        table: columns n, file, row, sample_id.
        first: shape (n,), int64; the position of the sample with the same texts and the lowest ``n``.
    """

    table: pa.Table
    first: NDArray[np.int64]


@dataclass(frozen=True)
class Piece:
    """
    The texts asked for of the samples ``[first, last)`` of the file.

    Attributes:
        data: their bytes; text j is ``data[ends[j]:ends[j + 1]]``.
        roles: per text, its place in ROLES.
        sample_ends: of sample i ``sample_ends[i - first]`` to ``sample_ends[i - first + 1]``.
        languages, paths: the columns of the samples, for texts whose language matters.
    """

    first: int
    last: int
    data: NDArray[np.uint8]
    ends: NDArray[np.int64]
    roles: NDArray[np.uint8]
    sample_ends: NDArray[np.int64]
    languages: pa.Array
    paths: pa.Array

    def named(self, owner: NDArray[np.int64]) -> tuple[pa.Array | None, pa.Array | None]:
        """Return language and path of the samples at *owner*, one per text; None where no sample has any."""
        columns = (self.languages, self.paths)
        first, second = (c.take(arrow(owner)) if c.null_count < len(c) else None for c in columns)
        return first, second


def read_places(path: Path) -> Places:
    """Read who the samples of the IPC file *path* are and find equal ones; no text is read."""
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source, options=_only(*WHO.names))
        batches = [_copy(reader.get_batch(k)) for k in range(reader.num_record_batches)]
    return places_of(pa.Table.from_batches(batches, WHO))


def _copy(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Copy a few columns: they would keep the texts beside them in memory."""
    return batch.take(arrow(np.arange(batch.num_rows)))


def places_of(table: pa.Table) -> Places:
    """Find equal samples in a table of schema `WHO`."""
    ids = numbers(pc.dictionary_encode(table.column("sample_id").combine_chunks()).indices)
    n = numbers(table.column("n"))
    by_n = np.argsort(n, kind="stable")
    first = np.empty(int(ids.max(initial=-1)) + 1, np.int64)
    first[ids[by_n][::-1]] = by_n[::-1]  # the last write stays: the lowest n
    return Places(table, first[ids])


def sample_ids(places: Places, rows: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """Return the ids of the samples at *rows*, shape (k,), as bytes that sort like the ids."""
    column = places.table.column("sample_id").take(arrow(rows))
    return np.array(column.to_pylist(), dtype="S64")


def read_pieces(path: Path, wanted: NDArray[np.bool_], *, outputs: bool = False) -> Iterator[Piece]:
    """
    Yield the texts of the *wanted* samples of the IPC file *path*, about 4 MiB at a time, in order.

    The file is read batch by batch and not mapped: pages of a mapped file would stay in memory. A sample larger than a
    piece is one of its own.

    Args:
        wanted: shape (samples,).
        outputs: leave out what is not an output.
    """
    with pa.OSFile(str(path)) as source:
        reader = pa.ipc.open_file(source, options=_only("texts", "language", "path"))
        base = 0
        for k in range(reader.num_record_batches):
            batch = reader.get_batch(k)
            yield from _cut(batch, base, wanted[base : base + batch.num_rows], outputs)
            base += batch.num_rows


def _only(*names: str) -> pa.ipc.IpcReadOptions:
    return pa.ipc.IpcReadOptions(included_fields=sorted(SAMPLES.names.index(name) for name in names))


def _cut(batch: pa.RecordBatch, base: int, wanted: NDArray[np.bool_], outputs: bool) -> Iterator[Piece]:
    column = batch.column("texts")
    sample_ends = numbers(column.offsets).astype(np.int64)
    structs = column.values
    values = pc.struct_field(structs, "text")
    found = pc.index_in(pc.struct_field(structs, "role"), _ROLES)
    roles = numbers(found if not found.null_count else pc.fill_null(found, 0)).astype(np.uint8)
    text_ends = _buffer(values.buffers()[1], np.int64)[values.offset : values.offset + len(values) + 1]
    data = _buffer(values.buffers()[2], np.uint8)
    bytes_before = text_ends[sample_ends]
    first = 0
    while first < batch.num_rows:
        last = max(first + 1, int(np.searchsorted(bytes_before, bytes_before[first] + _PIECE, "right")) - 1)
        texts = slice(int(sample_ends[first]), int(sample_ends[last]))
        per_sample = np.diff(sample_ends[first : last + 1])
        owner = np.repeat(np.arange(last - first), per_sample)
        taken = wanted[first:last][owner]
        if outputs:
            taken &= roles[texts] == OUTPUT
        counts = np.bincount(owner[taken], minlength=last - first)
        buffer, ends = gather(data, text_ends[texts.start : texts.stop + 1], taken)
        yield Piece(
            first=base + first,
            last=base + last,
            data=buffer,
            ends=ends,
            roles=roles[texts][taken],
            sample_ends=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            languages=batch.column("language").slice(first, last - first),
            paths=batch.column("path").slice(first, last - first),
        )
        first = last


def gather(
    data: NDArray[np.uint8], ends: NDArray[np.int64], taken: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of the texts taken, one after another, and their ends from 0; a view where all are."""
    if taken.all():
        return data[ends[0] : ends[-1]], ends - ends[0]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], taken.view(np.int8), [0]])))  # runs of texts next to each other
    runs = zip(ends[edges[::2]].tolist(), ends[edges[1::2]].tolist(), strict=True)
    sizes = np.diff(ends)[taken]
    parts = [data[start:end] for start, end in runs]
    return (
        np.concatenate(parts) if parts else np.empty(0, np.uint8),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
    )


def _buffer(buffer: pa.Buffer | None, dtype: type[np.uint8 | np.int64]) -> NDArray[Any]:
    """View an Arrow buffer as an array; what Arrow leaves out for an empty column becomes one zero."""
    return np.frombuffer(buffer, dtype) if buffer is not None and buffer.size else np.zeros(1, dtype)
