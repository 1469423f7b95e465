"""SAMPLES batches and rules for the tests of the scan engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from governance.rules import Rule
from governance.samples import SAMPLES, sample_id

KEY = b"0123456789abcdef" * 2


def a_rule(rule_id: str, body: str, **values: Any) -> Rule:
    """A rule with the defaults of a rule file; kind ``pattern`` on any text unless said otherwise."""
    return Rule(**{
        "rule_id": rule_id, "severity": "error", "field": "any", "kind": "pattern", "body": body, "message": "m",
        **values,
    })  # fmt: skip


def a_batch(samples: Sequence[Mapping[str, str] | Sequence[tuple[str, str, str]]]) -> pa.RecordBatch:
    """A SAMPLES batch: each sample a mapping of roles to texts, or a list of (field, role, text)."""
    rows = []
    for n, sample in enumerate(samples):
        triples = [(k, k, v) for k, v in sample.items()] if isinstance(sample, Mapping) else sample
        texts = [{"field": f, "role": r, "text": t} for f, r, t in triples]
        identity = sample_id((r, t) for _, r, t in triples)
        rows.append(
            {
                "n": n,
                "file": "d.jsonl",
                "row": n,
                "sample_id": identity,
                "shape": "mapped",
                "texts": texts,
                "record": "{}",
            }
        )
    return pa.RecordBatch.from_pylist(rows, schema=SAMPLES)


def write_samples(path: Path, batches: Sequence[pa.RecordBatch]) -> Path:
    """Write *batches* as the Arrow IPC file that ingest makes."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return path
