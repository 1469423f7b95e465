"""rules -> probes (samples that must be flagged), and the rules' own examples that do not hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from governance.errors import RuleError
from governance.rules import Rule
from governance.samples import ROLES, SAMPLES, sample_id
from governance.scan.scanner import Scanner

SHOWN = 80  # characters of an example that a message shows
PROBE_FILE = "probe"


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One example of a rule that does not hold.

    Attributes:
        kind: ``flags`` (the rule does not flag it) or ``passes`` (the rule flags it).
        index: position in that list, from 0.
        span: code points of the flagged part of a ``passes`` text.
        text: the example; empty in a sensitive pack.
    """

    rule_id: str
    kind: str
    index: int
    span: tuple[int, int] | None = None
    text: str = ""

    @property
    def message(self) -> str:
        """One line: where and what.

        >>> Problem("rest/a", "passes", 0, (1, 5), "/cars").message
        "rest/a: passes[0] is flagged at 1:5: '/cars'"
        """
        shown = f": {self.text[:SHOWN]!r}" if self.text else ""
        if self.span is None:
            return f"{self.rule_id}: {self.kind}[{self.index}] is not flagged{shown}"
        return f"{self.rule_id}: {self.kind}[{self.index}] is flagged at {self.span[0]}:{self.span[1]}{shown}"


def probe_batch(rules: Iterable[Rule]) -> pa.RecordBatch:
    """
    Return one SAMPLES row per ``flags`` text of every rule that reads samples.

    ``path`` is the rule id and ``row`` the index of the text, so a probe is found if a finding has its ``n`` and its
    rule. The file of every probe is ``probe``: no dataset row is ever mistaken for one.
    """
    return _batch([(rule, i, text) for rule in rules if rule.kind != "sql" for i, text in enumerate(rule.flags)])


def missed_probes(probes: pa.RecordBatch, findings: pa.Table | pa.RecordBatch) -> list[tuple[str, int]]:
    """Return (rule id, index in its ``flags``) of every probe that its own rule did not find, in order."""
    found = set(zip(findings.column("n").to_pylist(), findings.column("rule").to_pylist(), strict=True))
    columns = (probes.column(name).to_pylist() for name in ("n", "path", "row"))
    return [(rule, index) for n, rule, index in zip(*columns, strict=True) if (n, rule) not in found]


def prove_rules(rules: Sequence[Rule], database: bytes | None = None) -> list[Problem]:
    """
    Scan the examples of all *rules* but those of kind ``sql`` and return those that do not hold.

    Each rule has to flag its ``flags`` and leave its ``passes`` alone; what other rules say about them does not count.

    Raises:
        RuleError: a rule that cannot be scanned with at all.
    """
    scanned = [r for r in rules if r.kind != "sql"]
    cases = [
        (rule, kind, i, text)
        for rule in scanned
        for kind, texts in (("flags", rule.flags), ("passes", rule.passes))
        for i, text in enumerate(texts)
    ]
    batch = _batch([(rule, i, text) for rule, _, i, text in cases])
    found = Scanner(scanned, b"prove", database).scan(batch, overlaps=True).findings
    columns = (found.column(name).to_pylist() for name in ("n", "rule", "start", "end"))
    spans: dict[tuple[int, str], tuple[int, int]] = {}
    for n, rule_id, start, end in zip(*columns, strict=True):
        spans.setdefault((n, rule_id), (start, end))
    problems = []
    for n, (rule, kind, i, text) in enumerate(cases):
        span = spans.get((n, rule.rule_id))
        if (span is None) == (kind == "flags"):
            shown = "" if rule.sensitive or not isinstance(text, str) else text
            shift = len(_as_role_text(rule, text)) - len(text) if isinstance(text, str) else 0
            moved = (max(span[0] - shift, 0), max(span[1] - shift, 0)) if span else None
            problems.append(Problem(rule.rule_id, kind, i, moved, shown))
    return problems


def _as_role_text(rule: Rule, text: str) -> str:
    """A bare path becomes a route that the plain extractor sees."""
    return f"GET {text}" if rule.field in ("path", "route") and text.startswith("/") else text


def _texts(rule: Rule, index: int, example: Any) -> list[dict[str, str]]:
    if isinstance(example, dict) and set(example) <= set(ROLES) and all(isinstance(v, str) for v in example.values()):
        return [{"field": role, "role": role, "text": example[role]} for role in ROLES if role in example]
    if not isinstance(example, str):
        raise RuleError(
            f"{rule.source or rule.rule_id}: example {index} is neither a text nor a mapping of "
            f"{', '.join(ROLES)} to texts"
        )
    role = "instruction" if rule.field == "prompt" else rule.field if rule.field in ROLES else "output"
    return [{"field": role, "role": role, "text": _as_role_text(rule, example)}]


def _batch(cases: Sequence[tuple[Rule, int, Any]]) -> pa.RecordBatch:
    rows = []
    for n, (rule, index, example) in enumerate(cases):
        texts = _texts(rule, index, example)
        rows.append(
            {
                "n": n,
                "file": PROBE_FILE,
                "row": index,
                "sample_id": sample_id((t["role"], t["text"]) for t in texts),
                "shape": "mapped",
                "texts": texts,
                "record": "{}",
                "path": rule.rule_id,
            }
        )
    return pa.RecordBatch.from_pylist(rows, schema=SAMPLES)
