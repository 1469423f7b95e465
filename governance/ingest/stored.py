"""a dataset of the workspace -> samples, its digest computed again from what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from governance.errors import InputError
from governance.files import sha256_file
from governance.ingest.output import bad_identity, unwritable, whole_digest
from governance.ingest.parse import BATCH_ROWS
from governance.ingest.read import Ingested, InputFile
from governance.samples import QUARANTINE, SAMPLES, sample_id


def ingest_stored(samples: Path, digest: str, work: Path) -> Ingested:
    """
    Read the stored *samples* (``samples.parquet``, schema SAMPLES) of dataset *digest* into ``work/samples.arrow``.

    Files and rows keep the places of the original input. Bad records are known by place, reason and digest, so the
    same gates close; their bytes (null here) are in the quarantine of the workspace.

    Raises:
        InputError: the file cannot be read, or holds other samples than its digest says.
    """
    out = work / "samples.arrow"
    seen, count = SamplesDigest(), 0
    shapes: set[str] = set()
    try:
        with pa.OSFile(str(out), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
            for batch in _batches(samples):
                seen.update(batch)
                shapes |= set(batch.column("shape").unique().to_pylist())
                count += batch.num_rows
                writer.write_batch(batch)
    except (pa.ArrowException, ValueError):
        raise InputError(f"{samples}: is damaged; check the original dataset again") from None
    except OSError as problem:
        raise unwritable(out, problem) from None
    bad, bad_digest = _stored_bad(samples.with_name("quarantine.parquet"))
    if whole_digest(seen.digest(), bad_digest) != digest:
        raise InputError(f"{samples}: its samples are not those of its digest; check the original dataset again")
    sha256, size = sha256_file(samples), samples.stat().st_size
    records = count + bad.num_rows
    found = ", ".join(sorted(shapes))
    file = InputFile(samples, samples.name, sha256, size, "stored", "", found, records, bad.num_rows)
    return Ingested(out, count, records, bad, (file,), digest)


class SamplesDigest:
    """
    The digest of samples, computed from what a table holds: texts and records, never the ids that it names.

    Without bad records it is that of the dataset, see `output.whole_digest`.
    """

    def __init__(self) -> None:
        self._seen = hashlib.sha256()

    def update(self, batch: pa.RecordBatch) -> None:
        """
        Add the samples of *batch*, schema SAMPLES.

        Raises:
            ValueError: a record that is no JSON, or a text that is null.
        """
        columns = (batch.column("texts").to_pylist(), batch.column("record").to_pylist())
        for texts, record in zip(*columns, strict=True):
            try:
                canonical = orjson.dumps(orjson.loads(record), option=orjson.OPT_SORT_KEYS)
                identity = sample_id((t["role"], t["text"]) for t in texts)
            except (TypeError, AttributeError):  # a null where there can be none
                raise ValueError from None
            self._seen.update(bytes.fromhex(identity))
            self._seen.update(len(canonical).to_bytes(8, "little") + canonical)

    def digest(self) -> bytes:
        """32 bytes."""
        return self._seen.digest()


def bad_digest(ingested: Ingested, stored: Path | None = None) -> bytes:
    """
    Return the digest of the bad records, 32 bytes; empty without any.

    *stored* is the ``samples.parquet`` of a stored dataset, whose bad records are known by their identities alone.
    """
    if stored is not None:
        return _stored_bad(stored.with_name("quarantine.parquet"))[1]
    seen = hashlib.sha256()
    for batch in stored_bad(ingested).to_batches():
        for identity in batch.column("identity").to_pylist():
            seen.update(identity)
    return seen.digest() if ingested.quarantine.num_rows else b""


def stored_bad(ingested: Ingested) -> pa.Table:
    """Return the quarantine of *ingested* for the store: without the bytes, with the column ``identity`` (40 bytes)."""
    if ingested.dataset is None:  # it is there
        return _STORED_BAD.empty_table()
    before, first = 0, {}
    for file in ingested.files:
        first[file.name] = before
        before += file.records
    parts = []
    for batch in ingested.quarantine.to_batches(max_chunksize=1000):
        names = ("file", "row", "reason", "detail", "raw")
        rows = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
        made = [bad_identity(first[file] + row, *rest) for file, row, *rest in rows]
        identity = pa.Array.from_buffers(pa.binary(40), len(made), [None, pa.py_buffer(b"".join(made))])
        parts.append(pa.record_batch([*batch.drop_columns(["raw"]).columns, identity], schema=_STORED_BAD))
    return pa.Table.from_batches(parts, _STORED_BAD)


_STORED_BAD = pa.schema([f for f in QUARANTINE if f.name != "raw"] + [pa.field("identity", pa.binary(40))])


def _stored_bad(path: Path) -> tuple[pa.Table, bytes]:
    """Return the bad records of a stored dataset as QUARANTINE without bytes, and their digest; empty without any."""
    if not path.is_file():
        return QUARANTINE.empty_table(), b""
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError):
        raise InputError(f"{path}: is damaged; check the original dataset again") from None
    if not table.schema.equals(_STORED_BAD) or not table.num_rows:
        raise InputError(f"{path}: is damaged; check the original dataset again")
    seen = hashlib.sha256()
    for identity in table.column("identity").to_pylist():
        seen.update(identity)
    raw = pa.nulls(table.num_rows, pa.large_binary())
    return table.drop_columns(["identity"]).append_column(QUARANTINE.field("raw"), raw), seen.digest()


def _batches(samples: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(samples) as file:
        if not file.schema_arrow.equals(SAMPLES):
            raise ValueError
        for batch in file.iter_batches(BATCH_ROWS):
            yield pa.RecordBatch.from_arrays(batch.columns, schema=SAMPLES)
