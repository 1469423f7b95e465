"""parsed chunks in order -> samples.arrow, quarantine.arrow, the counts and the dataset digest."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from governance.errors import WorkspaceError
from governance.ingest.columns import integers, strings
from governance.ingest.parse import BATCH_BYTES, BATCH_ROWS, Parsed
from governance.samples import QUARANTINE, SAMPLES

QUARANTINE_BYTES = 4 << 20


def bad_identity(place: int, reason: str, detail: str, raw: bytes) -> bytes:
    """
    Return what the digest of a dataset takes of a bad record, 40 bytes.

    The number of records before it in the dataset (8 bytes, little-endian), then the SHA-256 of its bytes. Of a
    record over the limit only the start is kept, so its size, which *detail* holds, is hashed behind it.
    """
    seen = hashlib.sha256(raw)
    if reason == "too-large":
        seen.update(detail.encode())
    return place.to_bytes(8, "little") + seen.digest()


def whole_digest(samples: bytes, bad: bytes) -> str:
    """
    Return the digest of a dataset from that of its samples and that of its bad records, 32 bytes each.

    *bad* is empty where no record is bad; the digest is then that of the samples.
    """
    return hashlib.sha256(samples + bad).hexdigest() if bad else samples.hex()


class Writer:
    """Writes one dataset into *work*; both files are complete only after the ``with`` block."""

    def __init__(self, work: Path) -> None:
        self.samples = work / "samples.arrow"
        self._bad_path = work / "quarantine.arrow"
        self.count = self.records = 0
        self._digest, self._bad_digest = hashlib.sha256(), hashlib.sha256()
        self._waiting: list[pa.RecordBatch] = []
        self._bad: list[tuple[Any, ...]] = []
        self._bad_size = self._bad_count = 0

    def __enter__(self) -> Self:
        try:
            self.samples.parent.mkdir(parents=True, exist_ok=True)
            self._sink = pa.OSFile(str(self.samples), "wb")
            self._bad_sink = pa.OSFile(str(self._bad_path), "wb")
        except OSError as problem:
            raise unwritable(self.samples.parent, problem) from None
        self._out = pa.ipc.new_file(self._sink, SAMPLES)
        self._bad_out = pa.ipc.new_file(self._bad_sink, QUARANTINE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._flush_bad()
                self._out.close()
                self._bad_out.close()
            self._sink.close()
            self._bad_sink.close()
        except OSError as problem:
            if kind is None:
                raise unwritable(self.samples, problem) from None

    @property
    def digest(self) -> str:
        """Digest of the dataset, 64 hex digits."""
        return whole_digest(self._digest.digest(), self._bad_digest.digest() if self._bad_count else b"")

    @property
    def quarantine(self) -> pa.Table:
        """The quarantine, mapped into memory: it may be as large as the dataset."""
        with pa.memory_map(str(self._bad_path)) as source:
            return pa.ipc.open_file(source).read_all()

    def start(self, name: str) -> None:
        """Begin the file *name*; its rows count from 0."""
        self.name = name
        self.file_records = self.file_quarantined = 0
        self.shapes: set[str] = set()

    def add(self, parsed: Parsed) -> None:
        """Append what follows in the current file."""
        try:
            self._add(parsed)
        except OSError as problem:
            raise unwritable(self.samples, problem) from None

    def _add(self, parsed: Parsed) -> None:
        for batch in parsed.batches:
            self._append(batch)
        for row, line, reason, detail, raw in parsed.bad:
            self._bad.append((self.name.encode(), self.file_records + row, line, reason.encode(), detail.encode(), raw))
            self._bad_size += len(raw)
            self._bad_digest.update(bad_identity(self.records + row, reason, detail, raw))
            if self._bad_size > QUARANTINE_BYTES:
                self._flush_bad()
        self._digest.update(parsed.identity)
        self.shapes |= parsed.shapes
        self.file_records += parsed.records
        self.file_quarantined += len(parsed.bad)
        self._bad_count += len(parsed.bad)
        self.records += parsed.records

    def _append(self, batch: pa.RecordBatch) -> None:
        count = batch.num_rows
        arrays = batch.columns
        arrays[0] = integers(np.arange(self.count, self.count + count))
        arrays[1] = strings([self.name.encode()] * count, pa.string())
        arrays[2] = integers(np.frombuffer(arrays[2].buffers()[1], np.int64, count) + self.file_records)
        batch = pa.record_batch(arrays, schema=SAMPLES)
        self.count += count
        # Small files of a folder share a batch, so that the scan pool is not given thousands of tiny ones.
        rows = sum(b.num_rows for b in self._waiting)
        size = sum(b.nbytes for b in self._waiting)
        if self._waiting and (rows + count > BATCH_ROWS or size + batch.nbytes > BATCH_BYTES):
            self._flush()
        self._waiting.append(batch)

    def _flush(self) -> None:
        if self._waiting:
            self._out.write_batch(self._waiting[0] if len(self._waiting) == 1 else pa.concat_batches(self._waiting))
            self._waiting = []

    def _flush_bad(self) -> None:
        if self._bad:
            arrays = [
                integers(values) if field.type == pa.int64() else strings(values, field.type)
                for field, values in zip(QUARANTINE, map(list, zip(*self._bad, strict=True)), strict=True)
            ]
            self._bad_out.write_batch(pa.record_batch(arrays, schema=QUARANTINE))
            self._bad, self._bad_size = [], 0


def unwritable(path: Path, problem: OSError) -> WorkspaceError:
    # pyarrow's errors have a text of their own.
    why = os.strerror(problem.errno) if problem.errno else "unknown error"
    return WorkspaceError(f"{path}: cannot be written: {why}; free space or choose another folder")
