"""records -> a dataset file, atomically and with the same bytes every time; texts -> a record, by its template."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import itertools
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import zstandard

from governance.errors import InputError, WorkspaceError
from governance.ingest.parse import dump
from governance.ingest.sources import FORMATS

PARQUET_ROWS = 2_000  # rows that one write call and one row group hold
COMPRESSED = (".gz", ".zst")
OUTPUTS = ".jsonl, .jsonl.gz, .jsonl.zst, .json, .csv or .parquet"


def fill_record(record_template: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """
    Return the record of *record_template* (JSON with null for every text) with *texts* (field path -> text) put back.

    >>> fill_record('{"id":7,"messages":[{"role":"user","content":null}]}', {"messages/0/content": "hi"})
    {'id': 7, 'messages': [{'role': 'user', 'content': 'hi'}]}

    Raises:
        KeyError, IndexError: a path that the template does not have.
    """
    record: dict[str, Any] = orjson.loads(record_template)
    for field, text in texts.items():
        holder: Any = record
        *parents, last = field.split("/")
        for part in parents:
            holder = holder[_key(holder, part)]
        key = _key(holder, last)
        holder[key]  # a path that is not there must not make a new column
        holder[key] = text
    return record


def _key(holder: Any, part: str) -> Any:
    return int(part) if isinstance(holder, list) else part.replace("~1", "/").replace("~0", "~")


def write_records(records: Iterable[dict[str, Any]], out: Path, *, parquet_schema: pa.Schema | None = None) -> None:
    """
    Write *records* to *out* in the format of its suffix: .jsonl, .jsonl.gz, .jsonl.zst, .json, .csv or .parquet.

    Nothing is seen under *out* until all of it is on the disk, and the same records give the same bytes. CSV has the
    columns of the first record; a value there that is no string is written as JSON, null as nothing.

    Raises:
        InputError: another suffix, or records that the format cannot hold.
        WorkspaceError: the file cannot be written.
    """
    out = Path(out)
    suffixes = ["", "", *(s.lower() for s in out.suffixes)]
    packed = suffixes.pop() if suffixes[-1] in COMPRESSED else ""
    kind = FORMATS.get(suffixes[-1], "")
    if kind not in ("jsonl", "json", "csv", "parquet") or (packed and kind == "parquet"):
        raise InputError(f"{out}: the suffix is not one that can be written; expected {OUTPUTS}")
    try:
        with _atomic(out) as file:
            if kind == "parquet":
                _parquet(records, file, parquet_schema)
            else:
                write = {"jsonl": _jsonl, "json": _json, "csv": _csv}[kind]
                _packed(write(records, out), file, packed)
    except OSError as problem:
        raise WorkspaceError(
            f"{out}: cannot be written: {problem.strerror}; free space or choose another place"
        ) from None


@contextmanager
def _atomic(out: Path) -> Iterator[BinaryIO]:
    temporary = out.with_name(f".{out.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(out)
        folder = os.open(out.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)


def _packed(parts: Iterator[bytes], file: BinaryIO, packed: str) -> None:
    if packed == ".gz":
        # Neither name nor time in the header: they would differ from run to run.
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as stream:
            for part in parts:
                stream.write(part)
    elif packed == ".zst":
        with zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False) as stream:
            for part in parts:
                stream.write(part)
    else:
        for part in parts:
            file.write(part)


def _jsonl(records: Iterable[dict[str, Any]], _: Path) -> Iterator[bytes]:
    for record in records:
        yield dump(record) + b"\n"


def _json(records: Iterable[dict[str, Any]], _: Path) -> Iterator[bytes]:
    before = b"[\n"
    for record in records:
        yield before + dump(record)
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _csv(records: Iterable[dict[str, Any]], out: Path) -> Iterator[bytes]:
    columns: list[str] | None = None
    for row, record in enumerate(records):
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\r\n")
        if columns is None:
            columns = list(record)
            writer.writerow(columns)
        if list(record) != columns and set(record) != set(columns):
            raise InputError(f"{out}: record {row} has other columns than the first; write .jsonl instead")
        writer.writerow([_cell(record[c]) for c in columns])
        yield buffer.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dump(value).decode()


def _parquet(records: Iterable[dict[str, Any]], file: BinaryIO, schema: pa.Schema | None) -> None:
    """Without *schema* the types are those of the records, all of which are then held."""
    import pyarrow.parquet as pq  # costs start-up time that other formats need not pay

    try:
        if schema is None:
            rows = list(records)
            names = list(dict.fromkeys(name for row in rows for name in row))
            table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
            pq.write_table(table, file, row_group_size=PARQUET_ROWS)
            return
        with pq.ParquetWriter(file, schema) as writer:
            rest = iter(records)
            while rows := list(itertools.islice(rest, PARQUET_ROWS)):
                columns = [_column([row.get(field.name) for row in rows], field.type) for field in schema]
                writer.write_batch(pa.record_batch(columns, schema=schema))
    except (pa.ArrowException, TypeError, ValueError):
        raise InputError("the records do not fit one Parquet schema; write .jsonl instead") from None


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Undo what JSON could not hold, see parse.plain_value() and tables._readable()."""
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        return pa.array(values, pa.string()).cast(kind)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.array([None if v is None else base64.b64decode(v) for v in values], kind)
    return pa.array(values, kind)
