"""a threshold -> one near-duplicate pair and one sample unlike both, to prove that the search works."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa

from governance.samples import SAMPLES, sample_id

WORDS = 400  # a changed last word touches one 5-gram: the pair lies at J = 395/397


def probe_pair(out: Path, threshold: float) -> None:
    """
    Write three samples as an Arrow file: row 1 copies row 0, row 2 copies nothing.

    The copy differs by one word at the end, or, where *threshold* leaves no room for that, in white space only.
    """
    words = [hashlib.sha256(f"probe {i}".encode()).hexdigest()[:8] for i in range(WORDS)]
    other = [hashlib.sha256(f"other {i}".encode()).hexdigest()[:8] for i in range(WORDS // 2)]
    last = words[-1] if threshold > 0.97 else "changed"
    texts = [" ".join(words), "  ".join([*words[:-1], last]), " ".join(other)]
    rows = [
        {
            "n": n,
            "file": "probe",
            "row": n,
            "sample_id": sample_id([("output", text)]),
            "shape": "text",
            "texts": [{"field": "text", "role": "output", "text": text}],
            "record": "{}",
        }
        for n, text in enumerate(texts)
    ]
    table = pa.Table.from_pylist(rows, schema=SAMPLES)
    with pa.OSFile(str(out), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        writer.write_table(table)
