"""a run's tables, SQL rules -> findings. The SQL is a user's: it runs on a locked connection only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from governance.engines import usersql
from governance.errors import RuleError
from governance.rules import Rule, fingerprint
from governance.samples import FINDINGS, SAMPLES, sample_id

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COLUMNS = ("n", "field", "start", "end", "detail")


def run_sql_rules(con: DuckDBPyConnection, rules: Sequence[Rule], key: bytes) -> pa.Table:
    """
    Return what the ``sql`` rules among *rules* flag, as FINDINGS in the order (n, rule).

    A query returns ``n`` of the flagged samples and, if it can, ``field``, ``start``, ``end`` and ``detail``;
    a missing field is the output. The fingerprint is over the sample, for there is no flagged text.

    Raises:
        RuleError: the SQL fails, reads something it may not, or returns no column ``n``.
    """
    rows: list[dict[str, Any]] = []
    for rule in rules:
        if rule.kind == "sql":
            found = _query(con, rule)
            places = _places(con, {f["n"] for f in found})
            rows += [_finding(places, rule, f, key) for f in found]
    rows.sort(key=lambda r: (r["n"], r["rule"], r["field"], r["start"]))
    return pa.Table.from_pylist(rows, schema=FINDINGS)


def _query(con: DuckDBPyConnection, rule: Rule) -> list[dict[str, Any]]:
    names, found = usersql.select(con, rule.body, rule.rule_id, error=RuleError)
    if "n" not in names:
        raise RuleError(f"{rule.rule_id}: sql returns {', '.join(names) or 'nothing'}; expected a column n")
    return [dict(zip(names, row, strict=True)) for row in found]


def _places(con: DuckDBPyConnection, ordinals: set[Any]) -> dict[int, tuple[str, int, str]]:
    rows = con.execute(
        "select n, file, row, sample_id from sample_rows where n in (select unnest(?::bigint[]))",
        [[n for n in ordinals if isinstance(n, int)]],
    ).fetchall()
    return {n: (file, row, sample) for n, file, row, sample in rows}


def _finding(places: dict[int, tuple[str, int, str]], rule: Rule, found: dict[str, Any], key: bytes) -> dict[str, Any]:
    if found["n"] not in places:
        raise RuleError(f"{rule.rule_id}: sql returns n = {found['n']!r}, which is no sample")
    file, row, sample = places[found["n"]]
    return {
        "n": found["n"], "file": file, "row": row, "sample_id": sample, "rule": rule.rule_id,
        "severity": rule.severity, "field": found.get("field") or "output",
        "start": int(found.get("start") or 0), "end": int(found.get("end") or 0), "line": 1,
        "detail": _detail(found.get("detail")), "fingerprint": fingerprint(key, rule.rule_id, sample),
    }  # fmt: skip


def _detail(value: Any) -> str | None:
    """A number may be shown; a text of the query may hold a sample's text and may not."""
    return str(value) if isinstance(value, (int, float)) else None


def probe_samples(datasets: Sequence[Any], rule: Rule) -> pa.Table:
    """Return the samples of one ``flags`` or ``passes`` entry of a sql rule: a list of mappings of roles to texts."""
    rows = []
    for n, record in enumerate(datasets):
        texts = [{"field": role, "role": role, "text": text} for role, text in record.items()]
        identity = sample_id((t["role"], t["text"]) for t in texts)
        place = {"n": n, "file": rule.rule_id, "row": n, "shape": "alpaca", "record": "{}"}
        rows.append({**place, "texts": texts, "sample_id": identity})
    return pa.Table.from_pylist(rows, schema=SAMPLES)


def prove_sql_rules(
    rules: Sequence[Rule], connect: Callable[[pa.Table], DuckDBPyConnection]
) -> list[tuple[str, str, int]]:
    """
    Return ``(rule id, flags|passes, index)`` of every example that a sql rule judges wrongly.

    *connect* shows a table of samples to a locked connection (`store.Tables.connect`).
    """
    wrong = []
    for rule in rules:
        if rule.kind != "sql":
            continue
        for kind, examples, expected in (("flags", rule.flags, True), ("passes", rule.passes, False)):
            for i, example in enumerate(examples):
                if not isinstance(example, list):
                    raise RuleError(f"{rule.rule_id}: {kind}[{i}] must be a list of samples, for the rule is sql")
                con = connect(probe_samples(example, rule))
                if bool(_query(con, rule)) != expected:
                    wrong.append((rule.rule_id, kind, i))
                con.close()
    return wrong
