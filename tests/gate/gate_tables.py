"""The tables of a small run, in memory."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from governance import samples
from governance.rules import Rule

FINDINGS = samples.FINDINGS.append(pa.field("accepted", pa.bool_()))
TEXTS = pa.schema([("n", pa.int64()), ("field", pa.string()), ("role", pa.string()), ("text", pa.large_string())])


def make_rule(rule_id: str, severity: str = "error") -> Rule:
    """A rule as far as a gate cares: its id and severity."""
    return Rule(rule_id, severity, "any", "pattern", "x", "message")


def finding(n: int, rule: str, start: int = 0, end: int = 1, **more: Any) -> dict[str, Any]:
    """One row of `findings`."""
    row = {"n": n, "file": "d.jsonl", "row": n, "sample_id": f"{n:064x}", "rule": rule, "severity": "error"}
    row |= {"field": "output", "start": start, "end": end, "line": 1, "detail": "", "fingerprint": f"{n:024x}"}
    return row | {"accepted": False} | more


class Tables:
    """A DuckDB in memory with every table of a run; ``fill`` replaces one."""

    def __init__(self) -> None:
        self.con = duckdb.connect()
        self.fill("samples", samples.SAMPLES, [])
        self.fill("texts", TEXTS, [])
        self.fill("findings", FINDINGS, [])
        self.fill("stories", samples.STORIES, [])
        self.fill("routes", samples.ROUTES, [])
        self.fill("duplicates", samples.DUPLICATES, [])
        self.fill("copies", samples.COPIES, [])
        self.fill("overlaps", samples.OVERLAPS, [])
        self.fill("quarantine", samples.QUARANTINE, [])

    def fill(self, name: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
        self.con.register("rows_given", samples.table(schema, rows))
        self.con.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM rows_given')
        self.con.unregister("rows_given")

    def add_samples(self, count: int, **columns: Any) -> None:
        rows = [{"n": n, "file": "d.jsonl", "row": n, "sample_id": f"{n:064x}"} for n in range(count)]
        for row in rows:
            row |= {k: v[row["n"] % len(v)] if isinstance(v, list) else v for k, v in columns.items()}
        self.fill("samples", samples.SAMPLES, rows)

    def add_findings(self, *rows: dict[str, Any]) -> None:
        self.fill("findings", FINDINGS, list(rows))
