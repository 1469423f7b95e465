"""Findings for code scanning."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from made_run import HOSTILE, finding, made_run

from governance.report.sarif import MOST, SHOWN, render_sarif
from governance.report.tables import FINDINGS_ACCEPTED, RunTables


def log_of(rows: list[dict[str, Any]] | None = None, **limits: int) -> dict[str, Any]:
    run = made_run()
    tables = run.tables
    if rows is not None:
        findings = pa.Table.from_pylist(rows, schema=FINDINGS_ACCEPTED)
        tables = RunTables(findings, tables.duplicates, tables.quarantine)
    log: dict[str, Any] = json.loads(render_sarif(run.evidence, tables, **limits))["runs"][0]
    return log


def stands_for(log: dict[str, Any]) -> int:
    return sum(result.get("occurrenceCount", 1) for result in log["results"])


def test_results():
    """Each finding is a result with rule, level, message, record, fingerprint and place; no text of a sample."""
    log = log_of()
    assert len(log["results"]) == 14
    first = log["results"][0]
    rule = log["tool"]["driver"]["rules"][first["ruleIndex"]]
    assert rule["id"] == first["ruleId"] == "rest/crud-name"
    assert rule["help"]["text"] and rule["defaultConfiguration"]["level"] == first["level"] == "error"
    assert first["message"]["text"] == "path segment the flagged text is a verb; let the method say it"
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "train.jsonl"},
        "region": {"startLine": 1},
    }
    assert first["properties"] == {"row": 0, "field": "output", "line": 5}
    assert len(first["partialFingerprints"]["governance/v1"]) == 24
    assert "createPost" not in json.dumps(log) and "horse" not in json.dumps(log)


def test_accepted():
    """Accepted findings, and no others, are suppressed."""
    suppressed = [r["ruleId"] for r in log_of()["results"] if "suppressions" in r]
    assert suppressed == ["pii/email-address"]


@pytest.mark.parametrize("shown", [13, 10, 7, 4])
def test_folding(shown: int):
    """Over the limit the results stand for exactly all findings, and a notification says how many are folded."""
    log = log_of(shown=shown)
    assert len(log["results"]) <= shown
    assert stands_for(log) == 14
    folded = sum(r.get("occurrenceCount", 0) for r in log["results"])
    assert folded == log["properties"]["folded"] > 0
    assert (
        f"{folded} of 14 findings are folded"
        in log["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    )


def test_accepted_never_stand_for_open():
    """Folding keeps accepted and open findings apart."""
    rows = [finding(n, "rest/crud-name", 0, 1, accepted=n % 2 == 0) for n in range(100)]
    log = log_of(rows, shown=4)
    for accepted in (True, False):
        results = [r for r in log["results"] if ("suppressions" in r) == accepted]
        assert sum(r.get("occurrenceCount", 1) for r in results) == 50


def test_left_out():
    """Where there are more rule-and-file pairs than a run may hold, warnings give way to errors, and it is said."""
    rows = [finding(n, "a/b", 0, 1, file=f"{n}", severity="warning" if n < 30 else "error") for n in range(40)]
    log = log_of(rows, shown=5, most=20)
    levels = [r["level"] for r in log["results"]]
    assert levels == ["error"] * 10 + ["warning"] * 10
    assert log["properties"]["leftOut"] == 20
    assert "20 of 40 findings are left out" in json.dumps(log["invocations"])


def test_names():
    """A file name becomes a valid URI and holds no control character."""
    log = log_of([finding(0, "a/b", 0, 1, file="données/a b#?.jsonl"), finding(0, "a/b", 0, 1, file=HOSTILE[:-1])])
    uris = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in log["results"]]
    assert uris[0] == "donn%C3%A9es/a%20b%23%3F.jsonl"
    assert uris[1].isascii() and "<" not in uris[1] and " " not in uris[1]


def test_a_million_findings():
    """A million findings become at most what is shown, without a Python object for each."""
    count = 1_000_000
    numbers = np.arange(count)
    columns: dict[str, Any] = {f.name: pa.nulls(count, f.type) for f in FINDINGS_ACCEPTED}
    columns |= {"n": numbers, "row": numbers, "line": numbers, "start": numbers, "end": numbers + 1}
    for name, values in (("rule", ["rest/crud-name", "text/empty"]), ("file", [f"{i}.jsonl" for i in range(40)])):
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(numbers % len(values)), values).cast(pa.string())
    columns |= {"severity": pa.repeat("error", count), "accepted": pa.repeat(False, count)}
    run = made_run()
    findings = pa.table(columns, schema=FINDINGS_ACCEPTED)
    tables = RunTables(findings, run.tables.duplicates, run.tables.quarantine)
    started = time.perf_counter()
    log = json.loads(render_sarif(run.evidence, tables))["runs"][0]
    assert time.perf_counter() - started < 20  # a Python loop over the rows takes longer by far; measured: under 1 s
    assert SHOWN - 100 < len(log["results"]) <= SHOWN < MOST
    assert stands_for(log) == count
