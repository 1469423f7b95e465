"""chunks of JSON records (bytes) -> SAMPLES batches, quarantined rows and the bytes that the dataset digest hashes."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from governance.ingest.columns import integers, strings
from governance.ingest.records import Bad, Plan, Reader, provenance, slots
from governance.samples import PROVENANCE, ROLES, SAMPLES, TEXT

BATCH_ROWS = 2_000
BATCH_BYTES = 4 << 20
RAW_BYTES = 64 << 10
"""Bytes that the quarantine keeps of a record over the limit; it is in the file, whole, should anyone want it."""

Row = tuple[int, "dict[str, Any] | Bad", "bytes | Callable[[], bytes]"]
"""A record of a table: its line (0 if there are none), itself or why it is none, its raw bytes or how to get them."""

PREFIX = {role.encode(): role.encode() + b"\0" for role in ROLES}


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    A run of records of one file, as UTF-8.

    Attributes:
        data: lines, or the records one after the other where *ends* is given.
        line: line of the file where *data* starts, from 1.
        ends, lines: end offset in *data* and line of each record.
        encoding: of the file; the raw bytes in the quarantine are as the file has them.
    """

    data: bytes
    line: int = 1
    ends: tuple[int, ...] | None = None
    lines: tuple[int, ...] = ()
    encoding: str = "utf-8"


@dataclass(slots=True)
class Parsed:
    """What one chunk became. Rows count from 0 in the chunk; `bad` is (row, line, reason, detail, raw)."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    bad: list[tuple[int, int, str, str, bytes]] = field(default_factory=list)
    identity: bytes = b""
    records: int = 0
    shapes: set[str] = field(default_factory=set)


class Parser:
    """Turns records into batches; `file`, `n` and `row` of a batch are set by who puts the chunks in order."""

    def __init__(self, columns: Mapping[str, str] | None, max_row_bytes: int) -> None:
        self.reader = Reader(columns)
        self.max_row_bytes = max_row_bytes
        self._templates: dict[tuple[str, ...], Template] = {}

    def parse(self, chunk: Chunk) -> Parsed:
        """Return the samples and bad records of *chunk*. A blank line is no record, but it counts as a line."""
        out = Columns()
        for line, raw in _rows(chunk):
            try:
                if len(raw) > self.max_row_bytes:
                    raise Bad("too-large", f"{len(raw)} bytes, limit {self.max_row_bytes}")
                self.add(load(raw), out)
            except Bad as problem:
                kept = original(raw, chunk.encoding)
                out.quarantine(line, problem, kept[:RAW_BYTES] if problem.reason == "too-large" else kept)
        return out.finish()

    def parse_rows(self, rows: Iterable[Row]) -> Parsed:
        """Return the samples and bad records of *rows*: (line, record or why it is none, raw bytes)."""
        out = Columns()
        for line, record, raw in rows:
            try:
                if isinstance(record, Bad):
                    raise record
                self.add(record, out)
            except Bad as problem:
                kept = raw() if callable(raw) else raw
                out.quarantine(line, problem, kept[:RAW_BYTES] if problem.reason == "too-large" else kept)
        return out.finish()

    def add(self, record: Any, out: Columns) -> None:
        """
        Append *record* to *out*; its texts are taken out of it.

        Raises:
            Bad: it is no sample; *out* and *record* are then unchanged.
        """
        plan = self.reader.plan(record)
        if plan.plain:
            try:
                texts = [record[key].encode() for key in plan.keys]
            except (AttributeError, UnicodeEncodeError):
                pass  # not a string: looked at below
            else:
                template = self._templates.get(plan.order) or self._plain_template(plan)
                out.append(plan.shape, plan.fields, plan.roles, texts, template, None, self.max_row_bytes)
                return
        found = slots(record, plan)
        texts = [_encoded(holder[key]) for _, _, holder, key in found]
        origin = None if plan.plain else provenance(record, plan)
        kept = [holder[key] for _, _, holder, key in found]
        for _, _, holder, key in found:
            holder[key] = None
        try:
            template = Template(dump(record), dump(record, sort=True))
            fields, roles = [slot.field.encode() for slot in found], [slot.role.encode() for slot in found]
            out.append(plan.shape, fields, roles, texts, template, origin, self.max_row_bytes)
        except Bad:
            for (_, _, holder, key), text in zip(found, kept, strict=True):
                holder[key] = text
            raise

    def _plain_template(self, plan: Plan) -> Template:
        record = dict.fromkeys(plan.order)
        made = self._templates[plan.order] = Template(dump(record), dump(record, sort=True))
        return made


class Template:
    """The record without its texts: as JSON in its own order, and in the canonical form that the digest takes."""

    __slots__ = ("canonical", "text")

    def __init__(self, text: bytes, canonical: bytes) -> None:
        self.text = text
        self.canonical = len(canonical).to_bytes(8, "little") + canonical


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Bad("undecodable", "a text has half of a surrogate pair") from None


class Columns:
    """Columns of the batch that is being filled, and the batches that are full."""

    def __init__(self) -> None:
        self.done = Parsed()
        self.identity: list[bytes] = []
        self._clear()

    def _clear(self) -> None:
        self.size = 0
        self.rows: list[int] = []
        self.ids: list[bytes] = []
        self.shapes: list[str] = []
        self.offsets: list[int] = [0]
        self.fields: list[bytes] = []
        self.roles: list[bytes] = []
        self.texts: list[bytes] = []
        self.templates: list[bytes] = []
        self.origins: list[dict[str, Any] | None] = []

    def append(
        self,
        shape: str,
        fields: Sequence[bytes],
        roles: Sequence[bytes],
        texts: list[bytes],
        template: Template,
        origin: dict[str, Any] | None,
        limit: int,
    ) -> None:
        """
        Add one sample; closes the batch before it where that is full.

        Raises:
            Bad: a text has the character U+0000, or all have more than *limit* bytes.
        """
        # The same bytes as in samples.sample_id(), hashed at once.
        pieces: list[bytes] = []
        for role, data in zip(roles, texts, strict=True):
            if b"\0" in data:
                raise Bad("nul", "a text has the character U+0000")
            if data:
                pieces += (PREFIX[role], len(data).to_bytes(8, "little"), data)
        joined = b"".join(pieces)
        size = len(joined)
        if size > limit and sum(map(len, texts)) > limit:
            raise Bad("too-large", f"{sum(map(len, texts))} bytes of text, limit {limit}")
        digest = hashlib.sha256(joined).digest()
        if self.rows and (len(self.rows) >= BATCH_ROWS or self.size + size > BATCH_BYTES):
            self.flush()
        self.rows.append(self.done.records)
        self.done.records += 1
        self.ids.append(digest)
        self.shapes.append(shape)
        self.fields += fields
        self.roles += roles
        self.texts += texts
        self.offsets.append(len(self.texts))
        self.templates.append(template.text)
        self.origins.append(origin)
        self.identity += (digest, template.canonical)
        self.size += size + len(template.text)

    def quarantine(self, line: int, problem: Bad, raw: bytes) -> None:
        """Add one bad record."""
        self.done.bad.append((self.done.records, line, problem.reason, problem.detail, raw))
        self.done.records += 1

    def flush(self) -> None:
        """Close the batch that is being filled."""
        count = len(self.rows)
        if not count:
            return
        texts = pa.StructArray.from_arrays(
            [
                strings(self.fields, pa.string()),
                strings(self.roles, pa.string()),
                strings(self.texts, pa.large_string()),
            ],
            fields=list(TEXT),
        )
        offsets = pa.py_buffer(np.array(self.offsets, np.int32))
        self.done.shapes.update(self.shapes)
        columns = {
            "n": integers(np.arange(count)),
            "file": pa.nulls(count, pa.string()),
            "row": integers(self.rows),
            "sample_id": strings([digest.hex().encode() for digest in self.ids], pa.string()),
            "shape": strings(list(map(str.encode, self.shapes)), pa.string()),
            "texts": pa.ListArray.from_arrays(pa.Array.from_buffers(pa.int32(), count + 1, [None, offsets]), texts),
            "record": strings(self.templates, pa.string()),
        }
        for name in PROVENANCE:
            columns[name] = _provenance([o.get(name) if o else None for o in self.origins], SAMPLES.field(name).type)
        self.done.batches.append(pa.record_batch([columns[name] for name in SAMPLES.names], schema=SAMPLES))
        self._clear()

    def finish(self) -> Parsed:
        """Return everything added."""
        self.flush()
        self.done.identity = b"".join(self.identity)
        return self.done


def _provenance(values: list[Any], kind: pa.DataType) -> pa.Array:
    if not any(value is not None for value in values):
        return pa.nulls(len(values), kind)
    if kind == pa.int64():
        return integers(values)
    return strings([None if v is None else v.encode() for v in values], kind)


def _rows(chunk: Chunk) -> Iterable[tuple[int, bytes]]:
    if chunk.ends is not None:
        start = 0
        for end, line in zip(chunk.ends, chunk.lines, strict=True):
            yield line, chunk.data[start:end]
            start = end
        return
    for line, raw in enumerate(chunk.data.split(b"\n"), chunk.line):
        if raw and not raw.isspace():
            yield line, raw


def load(raw: bytes) -> Any:
    """
    Return the value of the JSON text *raw*. Of a key that is given twice the last value counts, as everywhere.

    Raises:
        Bad: ``undecodable`` or ``broken-json``.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        raise _why(raw, problem) from None


def _why(raw: bytes, problem: orjson.JSONDecodeError) -> Bad:
    try:
        text = raw.decode()
    except UnicodeDecodeError as wrong:
        return Bad("undecodable", f"byte {wrong.start} of the record is not in the encoding of the file")
    try:
        json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return Bad("broken-json", f"{problem.msg.split(':')[0]} at column {problem.colno}")
    # What the standard library reads and orjson does not: an escape that is half of a surrogate pair.
    return Bad("undecodable", "an escape is half of a surrogate pair")


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def original(raw: bytes, encoding: str) -> bytes:
    """Return *raw* as the file has it, undoing the transcoding of streams.transcode()."""
    if encoding == "utf-8":
        return raw
    errors = "surrogateescape" if encoding == "gb18030" else "surrogatepass"
    try:
        return raw.decode("utf-8", "surrogatepass").encode(encoding, errors)
    except UnicodeError:
        return raw


def dump(value: Any, *, sort: bool = False) -> bytes:
    """Return *value* as JSON; dates as ISO 8601, decimals as strings, bytes as base64."""
    option = orjson.OPT_NON_STR_KEYS | (orjson.OPT_SORT_KEYS if sort else 0)
    try:
        return orjson.dumps(value, default=plain_value, option=option)
    except (TypeError, RecursionError):
        raise Bad("wrong-type", "a column has a value that JSON cannot hold") from None


def plain_value(value: Any) -> Any:
    """Return what JSON can hold for a value of a Parquet column."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
