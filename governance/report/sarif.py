"""evidence, tables -> SARIF 2.1.0: findings for code scanning, folded where there are more than it shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from governance.report.messages import message
from governance.report.spans import visible
from governance.report.tables import RunTables, ranks

SHOWN = 5_000  # results of one run that GitHub shows
MOST = 25_000  # results of one run that GitHub accepts

LEVELS = {"error": "error", "warning": "warning", "info": "note"}
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"


def render_sarif(evidence: Mapping[str, Any], tables: RunTables, *, shown: int = SHOWN, most: int = MOST) -> str:
    """
    Return the findings as a SARIF log with one run and without any text of a sample.

    Where there are more than *shown*, each rule keeps its first k findings per file, k as large as fits, and the
    rest of that file becomes one result that says how many it stands for. Never more than *most* results; a
    notification says what was folded or left out.

    A region's line is the number of the record in its file, from 1: in JSON Lines that is the line, but for blank
    ones. The row, field and line inside the field are in ``properties``.
    """
    findings = tables.findings
    rows, folded, left_out = _select(findings, shown, most)
    rules = [_rule(entry) for entry in evidence["findings"]]
    index = {rule["id"]: i for i, rule in enumerate(rules)}
    texts = {rule["id"]: rule["shortDescription"]["text"] for rule in rules}
    results = [_result(row, stands_for, index, texts) for row, stands_for in rows]
    notes = []
    if folded:
        notes.append(f"{folded} of {findings.num_rows} findings are folded into one result per rule and file")
    if left_out:
        notes.append(f"{left_out} of {findings.num_rows} findings are left out; the run holds all of them")
    tool = evidence["tool"] if isinstance(evidence["tool"], Mapping) else {}
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": str(tool.get("name", "governance")),
                        "version": str(tool.get("version", "")),
                        "rules": rules,
                    }
                },
                "automationDetails": {"id": f"governance/{evidence['pipeline']['name']}/{evidence['run']}"},
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [{"level": "note", "message": {"text": n}} for n in notes],
                    }
                ],
                "results": results,
                "properties": {
                    "verdict": evidence["verdict"]["status"],
                    "dataset": evidence["dataset"]["digest"],
                    "pipeline": evidence["pipeline"]["digest"],
                    "findings": findings.num_rows,
                    "folded": folded,
                    "leftOut": left_out,
                },
            }
        ],
    }
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def _select(findings: pa.Table, shown: int, most: int) -> tuple[list[tuple[dict[str, Any], int]], int, int]:
    """Return (row, number of findings it stands for), how many findings are folded, how many left out."""
    if findings.num_rows <= shown:
        return [(row, 1) for row in findings.to_pylist()], 0, 0
    # Accepted findings make groups of their own: a suppressed result must not stand for an open one.
    group, rank, groups = ranks(findings, ["rule", "file", "accepted"])
    counts = np.bincount(group, minlength=groups)
    kept = _largest_cap(counts, shown)
    use = rank <= kept  # the row of rank `kept` is the one that stands for the rest of its group
    picked = findings.filter(pa.array(use)).to_pylist()
    stands_for = np.where(rank[use] < kept, 1, counts[group[use]] - kept).tolist()
    rows = list(zip(picked, stands_for, strict=True))
    order = list(LEVELS)
    if len(rows) > most:
        rows = sorted(rows, key=lambda r: (r[0]["accepted"], order.index(r[0]["severity"])))  # stable: worst first
    rest = sum(n for _, n in rows[most:])
    return rows[:most], sum(n for _, n in rows[:most] if n > 1), rest


def _largest_cap(counts: Any, shown: int) -> int:
    """The largest number of findings per group whose total, with one more for every cut group, is at most *shown*."""
    low, high = 0, shown
    while low < high:
        middle = (low + high + 1) // 2
        if int(np.minimum(counts, middle).sum() + (counts > middle).sum()) <= shown:
            low = middle
        else:
            high = middle - 1
    return low


def _rule(entry: Mapping[str, Any]) -> dict[str, Any]:
    says = message(str(entry.get("message") or entry["rule"]), None)
    why = str(entry.get("why") or says)
    return {
        "id": entry["rule"],
        "shortDescription": {"text": says},
        "fullDescription": {"text": why},
        "help": {"text": f"{says}\n\n{why}\n\ngovernance rules show {entry['rule']}"},
        "defaultConfiguration": {"level": LEVELS[entry["severity"]]},
    }


def _result(
    row: Mapping[str, Any], stands_for: int, index: Mapping[str, int], texts: Mapping[str, str]
) -> dict[str, Any]:
    text = texts.get(row["rule"], row["rule"])
    if row["detail"]:
        text += f" ({row['detail']})"
    if stands_for > 1:
        text += f" [stands for {stands_for} findings in this file]"
    name = visible(row["file"])
    result: dict[str, Any] = {
        "ruleId": row["rule"],
        "level": LEVELS[row["severity"]],
        "message": {"text": visible(text)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(name, safe="/")},
                    "region": {"startLine": row["row"] + 1},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": f"{name}:{row['row']}:{visible(row['field'] or '')}", "kind": "member"}
                ],
            }
        ],
        "partialFingerprints": {"governance/v1": row["fingerprint"]},
        "properties": {"row": row["row"], "field": visible(row["field"] or ""), "line": row["line"]},
    }
    if row["rule"] in index:
        result["ruleIndex"] = index[row["rule"]]
    if stands_for > 1:
        result["occurrenceCount"] = stands_for
    if row["accepted"]:
        why = "accepted in the baseline"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return result
