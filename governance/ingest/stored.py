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
from governance.ingest.output import unwritable
from governance.ingest.parse import BATCH_ROWS
from governance.ingest.read import Ingested, InputFile
from governance.samples import QUARANTINE, SAMPLES, sample_id


def ingest_stored(samples: Path, digest: str, work: Path) -> Ingested:
    """
    Read the stored *samples* (``samples.parquet``, schema SAMPLES) of dataset *digest* into ``work/samples.arrow``.

    Files and rows keep the places of the original input. Nothing is quarantined: what could not be read is no part
    of a stored dataset.

    Raises:
        InputError: the file cannot be read, or holds other samples than its digest says.
    """
    out = work / "samples.arrow"
    seen, count = hashlib.sha256(), 0
    shapes: set[str] = set()
    try:
        with pa.OSFile(str(out), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
            for batch in _batches(samples):
                for texts, record in zip(
                    batch.column("texts").to_pylist(), batch.column("record").to_pylist(), strict=True
                ):
                    canonical = orjson.dumps(orjson.loads(record), option=orjson.OPT_SORT_KEYS)
                    seen.update(bytes.fromhex(sample_id((t["role"], t["text"]) for t in texts)))
                    seen.update(len(canonical).to_bytes(8, "little") + canonical)
                shapes |= set(batch.column("shape").unique().to_pylist())
                count += batch.num_rows
                writer.write_batch(batch)
    except (pa.ArrowException, ValueError):
        raise InputError(f"{samples}: is damaged; check the original dataset again") from None
    except OSError as problem:
        raise unwritable(out, problem) from None
    if seen.hexdigest() != digest:
        raise InputError(f"{samples}: its samples are not those of its digest; check the original dataset again")
    sha256, size = sha256_file(samples), samples.stat().st_size
    file = InputFile(samples, samples.name, sha256, size, "stored", "", ", ".join(sorted(shapes)), count, 0)
    return Ingested(out, count, count, QUARANTINE.empty_table(), (file,), digest)


def _batches(samples: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(samples) as file:
        if not file.schema_arrow.equals(SAMPLES):
            raise ValueError
        for batch in file.iter_batches(BATCH_ROWS):
            yield pa.RecordBatch.from_arrays(batch.columns, schema=SAMPLES)
