"""a seed -> the evidence and tables of a run, all of it made up, plain or as hostile as file names and texts can be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from governance.report.checklist import checklist_items
from governance.report.spans import Spans
from governance.report.tables import FINDINGS_ACCEPTED, QUARANTINE_PLACES, RunTables
from governance.samples import DUPLICATES, Text

HOSTILE = "<script>alert('x')</script>\"'>&\u202e|`*\n](javascript:x)\x1b[31m\ud800"
"""Markup, quotes, a reordering character, Markdown, a terminal escape and half a character."""

CONTROLLER = """@RestController
@RequestMapping("/blog")
public class BlogController {
    private String password = "correct horse";
    @PostMapping("/createPost")
    public Post createPost(@RequestBody Post post) {
        return service.save(post);
    }
}
"""


@dataclass(frozen=True)
class MadeRun:
    """A run that no dataset stands behind."""

    evidence: dict[str, Any]
    tables: RunTables
    texts: dict[int, list[Text]]

    @property
    def spans(self) -> Spans:
        """The spans, as `governance report` would make them."""
        return Spans.of(self.evidence, self.tables.findings, self.texts.__getitem__)


def digest(text: str) -> str:
    """The SHA-256 of a word, as a stand-in for one of data."""
    return hashlib.sha256(text.encode()).hexdigest()


def finding(n: int, rule: str, start: int, end: int, **more: Any) -> dict[str, Any]:
    """One row of the findings table."""
    return {
        "n": n, "file": "train.jsonl", "row": n, "sample_id": digest(str(n)), "rule": rule, "severity": "error",
        "field": "output", "start": start, "end": end, "line": 1, "detail": "",
        "fingerprint": digest(f"{rule}{n}")[:24], "accepted": False,
    } | more  # fmt: skip


def gate(name: str, status: str, value: float | None, limit: float, **more: Any) -> dict[str, Any]:
    """One gate of the evidence."""
    return {
        "gate": name, "title": name.replace("-", " ").capitalize(), "title_zh": "", "status": status, "level": "fail",
        "required": True, "checked": 1200, "failed": None if value is None else round(value * 1200), "value": value,
        "limit": limit, "unit": "rate", "of": "samples", "detail": "", "worst": [], "remedy": "none", "command": "",
    } | more  # fmt: skip


def rule_entry(rule: str, findings: int, samples: int, message: str, **more: Any) -> dict[str, Any]:
    """One entry of the evidence's findings."""
    return {
        "rule": rule, "severity": "error", "findings": findings, "samples": samples, "accepted": 0, "message": message,
        "message_zh": "", "why": "What is in the data comes back.", "why_zh": "", "sensitive": True,
    } | more  # fmt: skip


def made_run(
    name: str = "train.jsonl", file: str = "train.jsonl", path: str = "/createPost", passed: bool = False
) -> MadeRun:
    """
    Return a run over 1,200 samples with a CRUD path, a password, stories with one criterion and copies.

    *name*, *file* and *path* go where a user's words go: the dataset, its files, a path in the samples.
    """
    text = CONTROLLER.replace("/createPost", path)
    crud, secret = text.index(path), text.index("correct horse")
    safe = text.replace("correct horse", "from a vault!")
    texts = {
        n: [
            Text("instruction", "instruction", "Implement the method"),
            Text("output", "output", text if n < 3 else safe),
        ]
        for n in range(12)
    }
    rows = [] if passed else [finding(n, "rest/crud-name", crud, crud + len(path), file=file, line=5) for n in range(9)]
    if not passed:
        rows += [finding(n, "secrets/password-assignment", secret, secret + 13, file=file, line=4) for n in range(3)]
        rows += [
            finding(3, "stories/few-criteria", 0, 40, file=file, severity="warning", detail="declared 1, effective 1")
        ]
        rows += [finding(4, "pii/email-address", 3, 9, file=file, field="instruction", accepted=True)]
    copies = [
        {
            "n": 100 + i, "file": file, "row": 100 + i, "sample_id": digest("c"), "cluster": 7 if i < 6 else 9,
            "kept_file": file, "kept_row": 7 if i < 6 else 9, "kept_sample_id": digest("k"),
            "similarity": 1.0 if i < 6 else 0.875, "kind": "exact" if i < 6 else "near",
        }
        for i in range(0 if passed else 9)
    ]  # fmt: skip
    lost = [{"file": file, "row": 17, "line": 18, "reason": "broken-json", "detail": "expected ','"}]
    tables = RunTables(
        pa.Table.from_pylist(_clean(rows), schema=FINDINGS_ACCEPTED),
        pa.Table.from_pylist(_clean(copies), schema=DUPLICATES),
        pa.Table.from_pylist(_clean(lost), schema=QUARANTINE_PLACES),
    )
    return MadeRun(_evidence(name, file, passed), tables, texts)


def _clean(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Arrow holds no half characters, so no table can."""
    return [{k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in r.items()} for r in rows]


def _copies(file: str, passed: bool) -> dict[str, Any]:
    """What the evidence says of two clusters of 7 and 4 samples, or of none."""
    removed = 0 if passed else 9
    share = {"rows": 1200, "rows_removed": removed, "words": 184_310, "words_removed": removed * 140, "groups": 1}
    whole = {k: v for k, v in share.items() if k != "groups"}
    steps = [
        share | {"name": "implementation_spring_controller", "rows": 840, "words": 130_200},
        share | {"name": None, "rows": 360, "rows_removed": 0, "words": 54_110, "words_removed": 0},
    ]
    clusters = [] if passed else [(7, 7), (9, 4)]
    many = (4, 10)
    sizes = [(2, 2), (3, 3), many, (11, 100), (101, None)]
    return {
        "search": {"method": "exact", "threshold": 0.8, "compared": 25, "pairs": 0 if passed else 4,
                   "permutations": None, "bands": None, "rows": None,
                   "expected_recall": 1.0, "measured_recall": None, "measured_on": None,
                   "measured_pairs": None},
        "sizes": [{"from": low, "to": high, "clusters": len(clusters) if (low, high) == many else 0,
                   "samples": sum(s for _, s in clusters) if (low, high) == many else 0} for low, high in sizes],
        "largest_clusters": [{"cluster": c, "size": size, "file": file, "row": c} for c, size in clusters],
        "copies": {
            "all": {"1": 1200, "2": 0, "3": 0, "more": 0} if passed else {"1": 1189, "2": 0, "3": 0, "more": 11},
            "exact": {"1": 1200, "2": 0, "3": 0, "more": 0} if passed else {"1": 1193, "2": 0, "3": 0, "more": 7},
        },
        "removal": {**whole, "steps": steps,
                    "repositories": [share | {"name": "shop/orders" if file == "train.jsonl" else file}]},
    }  # fmt: skip


def _evidence(name: str, file: str, passed: bool) -> dict[str, Any]:
    place = {"file": file, "row": 0, "field": "output", "line": 5, "rule": "rest/crud-name"}
    gates = [
        gate("quarantined", "PASSED", 0.0, 0.001, of="records"),
        gate(
            "rest-routes", "PASSED" if passed else "FAILED", 0.0 if passed else 0.0075, 0.0, title="REST routes",
            title_zh="REST 路由", worst=[] if passed else [place, {**place, "row": 3}], remedy="drop",
            command=f"governance clean {name} --pipeline code-generation --out clean.jsonl",
        ),
        gate("near-duplicates", "PASSED" if passed else "WARNED", 0.0025, 0.01, level="warn"),
        gate(
            "secrets", "PASSED" if passed else "FAILED", 0.0 if passed else 0.0025, 0.0,
            worst=[] if passed else [place | {"rule": "secrets/password-assignment", "line": 4}],
        ),
        gate("unknown-licence", "PASSED" if passed else "NOT_RUN", 0.0 if passed else None, 0.0),
    ]  # fmt: skip
    if not passed:
        gates += [
            gate("expectation-1", "ERROR", None, 0.0, required=False, detail="the record disagrees: 3 and 2"),
            gate("stories", "WAIVED", 0.4, 0.2, of="stories"),
        ]
    findings = [] if passed else [
        rule_entry("rest/crud-name", 9, 9, "path segment {match!r} is a verb; let the method say it", sensitive=False)
        | {"message_zh": "路径片段 {match!r} 是动词", "why_zh": "路径应为名词。"},
        rule_entry("secrets/password-assignment", 3, 3, "{match!r} is assigned to a password"),
        rule_entry("pii/email-address", 1, 1, "an e-mail address", accepted=1),
        rule_entry("stories/few-criteria", 1, 1, "one criterion", severity="warning", sensitive=False),
    ]  # fmt: skip
    failed = [g for g in gates if g["status"] in ("FAILED", "ERROR", "NOT_RUN")]
    evidence: dict[str, Any] = {
        "schema": "https://example.invalid/evidence/1",
        "run": "20260301-120000-ab12cd34",
        "created": "2026-03-01T12:00:00+00:00",
        "tool": {"name": "governance", "version": "0.1.0"},
        "verdict": {
            "status": "PASSED" if passed else "CLOSED",
            "expires": "2026-03-31T12:00:00+00:00",
            "reasons": [f"{g['gate']}: {g['failed']} of {g['checked']} samples, limit {g['limit']}" for g in failed],
        },
        "dataset": {
            "name": name, "digest": digest("dataset"), "records": 1201, "samples": 1200, "quarantined": 1,
            "distinct": 1200 if passed else 1194,
            "most_repeated": {"count": 1 if passed else 7, "file": file, "row": 7}, "characters": 1_204_331,
            "files": [{"name": file, "sha256": digest("file"), "bytes": 1_310_720, "format": "jsonl",
                       "encoding": "utf-8", "shape": "alpaca", "records": 1201, "quarantined": 1}],
        },
        "pipeline": {"name": "code-generation", "digest": digest("pipeline")},
        "policy": None if passed else {"name": "company", "digest": digest("policy")},
        "rules": {"digest": digest("rules"), "packs": ["pii", "rest", "secrets", "stories"], "count": 58},
        "metrics": {
            "samples.repeated": {"value": 0.005, "checked": 1200, "failed": 6, "unit": "rate", "of": "samples"},
        },
        "gates": gates,
        "breaches": [g["gate"] for g in failed],
        "findings": findings,
        "probes": {"planted": 231, "found": 231, "missed": []},
        "duplicates": {"exact": 0 if passed else 6, "lexemes": 0, "near": 0 if passed else 3,
                       "renamed": 0 if passed else 2,
                       "clusters": 0 if passed else 2, "largest": 0 if passed else 7, "threshold": 0.8,
                       **_copies(file, passed)},
        "overlaps": None if passed else {
            "compared": ["protected-overlap", "benchmark-overlap"],
            "sources": [{"name": "third-party", "kind": "index", "digest": digest("index")},
                        {"name": name, "kind": "benchmark", "digest": digest("items")}],
            "least": 50, "threshold": 0.8, "samples": 3, "allowed": 1,
            "classes": [{"class": "verbatim", "samples": 2, "places": 4}, {"class": "item", "samples": 1, "places": 1}],
            "licences": [{"licence": "GPL-3.0-only", "samples": 2, "places": 4},
                         {"licence": "", "samples": 1, "places": 1}],
            "top": [
                {"source": f"third-party/{file}", "class": "verbatim", "licence": "GPL-3.0-only",
                 "index": "third-party", "samples": 2, "places": 4, "longest": 212, "score": 0.91, "allowed": False},
                {"source": "own/util.py", "class": "verbatim", "licence": "", "index": "third-party",
                 "samples": 1, "places": 1, "longest": 64, "score": 0.3, "allowed": True},
                {"source": f"{name}#7/prompt", "class": "item", "licence": "", "index": name,
                 "samples": 1, "places": 1, "longest": 31, "score": 1.0, "allowed": False},
            ],
            "items": 164, "undecidable": {"count": 2, "names": [f"{name}#3/prompt", f"{name}#9/test"]},
        },
        "distributions": {
            "lengths": {"bins": [0, 1, 50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600],
                        "counts": [0, 4, 18, 96, 240, 388, 274, 120, 44, 12, 3, 1]},
            "criteria": {"declared": {"1": 620, "2": 301, "3": 160, "4": 88, "7": 2},
                         "effective": {"0": 40, "1": 590, "2": 299, "3": 160, "4": 82}},
            "criteria_distinct": {"1": 420, "2": 280, "3": 160, "4": 80},
            "languages": {"java": 810, "zh": 260, "python": 120, "other": 10},
            "cluster_sizes": {} if passed else {"4": 1, "7": 1},
        },
        "baseline": None,
        "expectations": [],
        "ledger": None,
    }  # fmt: skip
    return evidence | {"checklist": checklist_items(evidence)}
