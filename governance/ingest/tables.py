"""CSV, Parquet and Arrow files -> batches of (line, record or why it is none, raw bytes)."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from governance.errors import InputError
from governance.ingest.lines import TooLarge, line_chunks
from governance.ingest.parse import Row, dump, original
from governance.ingest.records import Bad

TABLE_ROWS = 1_000  # rows made into Python objects at once
CSV_ROWS = 2_000
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


def csv_rows(source: Iterator[bytes], name: str, encoding: str, limit: int) -> Iterator[list[Row]]:
    """
    Yield the records of a CSV file with a header (RFC 4180: comma, double quotes, quotes doubled).

    A record whose quotes do not close is bad with its first line alone; reading goes on with the next line.

    Raises:
        InputError: the header is not valid, or names a column twice.
    """
    lines = _Lines(line_chunks(source, encoding, limit), limit)
    # The limit is the interpreter's; ours is on the whole record, and bytes.
    before = csv.field_size_limit(sys.maxsize)
    try:
        reader = csv.reader(lines, strict=True)
        header: list[str] | None = None
        rows: list[Row] = []
        size = 0
        while (found := _next(reader, lines)) is not None:
            values, line, raw = found
            if isinstance(values, list) and (not values or raw.isspace()):
                continue
            if header is None:
                header = _header(values, lines.damaged, name)
                continue
            rows.append((line, _record(values, header, lines.damaged), original(raw, encoding)))
            size += len(raw)
            if len(rows) >= CSV_ROWS or size >= 4 << 20:
                yield rows
                rows, size = [], 0
        yield rows
    finally:
        csv.field_size_limit(before)


def _next(reader: Any, lines: _Lines) -> tuple[list[str] | Bad, int, bytes] | None:
    """The values of the next record or why it has none, its line, its bytes."""
    lines.begin()
    try:
        values: list[str] = next(reader)
    except StopIteration:
        return None
    except TooLarge as problem:
        return problem, problem.line, problem.raw
    except csv.Error:
        lines.keep_first()
        return Bad("broken-csv", "the quotes of the record are not paired"), lines.first, b"".join(lines.taken)
    return values, lines.first, b"".join(lines.taken)


def _header(values: list[str] | Bad, damaged: bool, name: str) -> list[str]:
    if isinstance(values, Bad) or damaged:
        why = "is not in the encoding of the file" if damaged else "cannot be read"
        raise InputError(f"{name}: line 1: the header {why}; expected column names, parted by commas")
    if places := _twice(values):  # by number: without a header line these words are data
        raise InputError(f"{name}: line 1: columns {places} of the header have one name; give each its own")
    return values


def _twice(names: list[str]) -> str:
    """``2 and 5``, counted from 1, of the first name that stands twice; empty where none does."""
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if name in seen:
            return f"{seen[name]} and {number}"
        seen[name] = number
    return ""


def _record(values: list[str] | Bad, header: list[str], damaged: bool) -> dict[str, Any] | Bad:
    if isinstance(values, Bad):
        return values
    if damaged:
        return Bad("undecodable", "the record has a byte that is not in the encoding of the file")
    if len(values) != len(header):
        return Bad("broken-csv", f"{len(values)} fields, the header has {len(header)}")
    return dict(zip(header, values, strict=True))


class _Lines:
    """The lines of a file as strings, with those that the current record took, and a way to put them back."""

    def __init__(self, chunks: Iterator[Any], limit: int) -> None:
        self._lines = self._split(chunks)
        self._back: list[tuple[int, Any]] = []
        self._limit = limit
        self._numbers: list[int] = []
        self.taken: list[bytes] = []
        self.damaged = False
        self._size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        number, item = self._back.pop() if self._back else next(self._lines)
        if isinstance(item, TooLarge):
            if self.taken:
                # It stands in a record that is open: that one is ended first.
                self._back.append((number, item))
                raise csv.Error
            raise item
        raw: bytes = item
        self._numbers.append(number)
        self.taken.append(raw)
        self._size += len(raw)
        if self._size > self._limit:
            raise csv.Error
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self.damaged = True
            return raw.decode("utf-8", "surrogateescape")

    @staticmethod
    def _split(chunks: Iterator[Any]) -> Iterator[tuple[int, Any]]:
        for chunk in chunks:
            if isinstance(chunk, TooLarge):
                yield chunk.line, chunk
                continue
            parts = chunk.data.split(b"\n")
            last = parts.pop()
            for number, part in enumerate(parts, chunk.line):
                yield number, part + b"\n"
            if last:
                yield chunk.line + len(parts), last

    @property
    def first(self) -> int:
        """Line where the current record starts."""
        return self._numbers[0] if self._numbers else 0

    def begin(self) -> None:
        """Start a record."""
        self.taken, self._numbers, self.damaged, self._size = [], [], False, 0

    def keep_first(self) -> None:
        """Put all lines of the current record but the first back."""
        self._back += reversed(list(zip(self._numbers[1:], self.taken[1:], strict=True)))
        del self.taken[1:], self._numbers[1:]


def parquet_rows(path: Path, name: str) -> Iterator[list[Row]]:
    """
    Yield the records of a Parquet file.

    Raises:
        InputError: it is not one, or is damaged.
    """
    import pyarrow.parquet as pq  # costs start-up time that other formats need not pay

    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            _check_names(file.schema_arrow, name)
            for batch in file.iter_batches(batch_size=TABLE_ROWS):
                yield _table_rows(batch)
    except (pa.ArrowException, OSError):
        raise InputError(f"{name}: is not a whole Parquet file; write it again") from None


def arrow_rows(path: Path, name: str) -> Iterator[list[Row]]:
    """
    Yield the records of an Arrow file or stream, such as those of a saved Hugging Face dataset.

    Raises:
        InputError: it is not one, or is damaged.
    """
    try:
        with pa.memory_map(str(path)) as source:
            if source.read(6) == b"ARROW1":
                source.seek(0)
                opened = pa.ipc.open_file(source)
                batches: Any = (opened.get_batch(i) for i in range(opened.num_record_batches))
            else:
                source.seek(max(0, source.size() - len(END_OF_STREAM)))
                if source.read() != END_OF_STREAM:
                    raise InputError(f"{name}: is no Arrow file, or is cut short; save the dataset again")
                source.seek(0)
                opened = batches = pa.ipc.open_stream(source)
            _check_names(opened.schema, name)
            for batch in batches:
                for start in range(0, batch.num_rows, TABLE_ROWS):
                    yield _table_rows(batch.slice(start, TABLE_ROWS))
    except (pa.ArrowException, OSError):
        raise InputError(f"{name}: is no Arrow file, or is damaged; save the dataset again") from None


def _check_names(schema: pa.Schema, name: str) -> None:
    if places := _twice(schema.names):
        raise InputError(f"{name}: columns {places} have one name; give each its own")


def _table_rows(batch: pa.RecordBatch) -> list[Row]:
    try:
        return [(0, record, partial(dump, record)) for record in _readable(batch).to_pylist()]
    except UnicodeDecodeError:
        if batch.num_rows > 1:
            return [row for i in range(batch.num_rows) for row in _table_rows(batch.slice(i, 1))]
    return [(0, Bad("undecodable", "a string is not UTF-8"), partial(_raw, batch))]


def _readable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Times as ISO 8601 strings: Python's have no nanoseconds."""
    columns, fields = [], []
    for column, field in zip(batch.columns, batch.schema, strict=True):
        temporal = pa.types.is_temporal(field.type) or pa.types.is_interval(field.type)
        columns.append(column.cast(pa.string()) if temporal else column)
        fields.append(pa.field(field.name, columns[-1].type))
    return pa.record_batch(columns, schema=pa.schema(fields))


def _raw(row: pa.RecordBatch) -> bytes:
    parts = []
    for column in row.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            kind = pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary()
            parts.append(column.view(kind)[0].as_py() or b"")
    return b"\n".join(parts)
