"""a run's tables, SQL rules -> findings. The SQL is a user's: it runs on a locked connection only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
        RuleError: the SQL is wrong, reads something it may not, or returns something else than places.
        UserSqlError: it fails on the data; what DuckDB says of that may quote a sample and is left out.
    """
    rows: list[dict[str, Any]] = []
    for rule in rules:
        if rule.kind == "sql":
            found = _query(con, rule)
            places = _places(con, {f["n"] for f in found if type(f["n"]) is int})
            rows += [_finding(places, rule, f, key) for f in found]
    rows.sort(key=lambda r: (r["n"], r["rule"], r["field"], r["start"]))
    return pa.Table.from_pylist(rows, schema=FINDINGS)


def _query(con: DuckDBPyConnection, rule: Rule) -> list[dict[str, Any]]:
    names, found = usersql.select(con, rule.body, rule.rule_id, error=RuleError)
    if "n" not in names:  # the names are not shown: those of a PIVOT are data
        raise RuleError(f"{rule.rule_id}: sql returns {len(names)} columns, none is n; expected {', '.join(COLUMNS)}")
    return [dict(zip(names, row, strict=True)) for row in found]


@dataclass(frozen=True, slots=True)
class _Place:
    """A sample, and the length of each of its texts in code points."""

    file: str
    row: int
    sample_id: str
    lengths: dict[str, int]


def _places(con: DuckDBPyConnection, ordinals: set[int]) -> dict[int, _Place]:
    rows = con.execute(
        "select s.n, s.file, s.row, s.sample_id, t.field, length(t.text) from sample_rows s left join texts t using (n)"
        " where s.n in (select unnest(?::bigint[]))",
        [[n for n in ordinals if abs(n) < 1 << 63]],
    ).fetchall()
    places: dict[int, _Place] = {}
    for n, file, row, sample, name, length in rows:
        lengths = places.setdefault(n, _Place(file, row, sample, {})).lengths
        if name is not None:
            lengths[name] = length
    return places


def _finding(places: dict[int, _Place], rule: Rule, found: dict[str, Any], key: bytes) -> dict[str, Any]:
    """Return the row; what a query gives is refused, unshown, unless it is a place, for it may be a sample's text."""
    place = places.get(found["n"]) if type(found["n"]) is int else None
    if place is None:
        raise RuleError(f"{rule.rule_id}: sql returns an n that is no sample; expected samples.n")
    name = found.get("field") or ("output" if "output" in place.lengths or not place.lengths else [*place.lengths][-1])
    start, end = (0 if found.get(c) is None else found[c] for c in ("start", "end"))
    if not isinstance(name, str) or (name not in place.lengths and (found.get("field") or place.lengths)):
        raise RuleError(f"{rule.rule_id}: sql returns a field that the sample does not have; expected texts.field")
    if not (type(start) is int and type(end) is int and 0 <= start <= end <= place.lengths.get(name, 0)):
        raise RuleError(f"{rule.rule_id}: sql returns a start or end outside its text; expected 0 <= start <= end")
    return {
        "n": found["n"], "file": place.file, "row": place.row, "sample_id": place.sample_id, "rule": rule.rule_id,
        "severity": rule.severity, "field": name, "start": start, "end": end, "line": 1,
        "detail": _detail(found.get("detail")), "fingerprint": fingerprint(key, rule.rule_id, place.sample_id),
    }  # fmt: skip


def _detail(value: Any) -> str | None:
    """Four digits of a number may be shown: longer ones may be a card or a telephone, and a text may be anything."""
    return f"{value:.4g}" if type(value) in (int, float) else None


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
    rules: Sequence[Rule],
    connect: Callable[[pa.Table], DuckDBPyConnection],
    kinds: Sequence[str] = ("flags", "passes"),
) -> list[tuple[str, str, int]]:
    """
    Return ``(rule id, flags|passes, index)`` of every example of *kinds* that a sql rule judges wrongly.

    *connect* shows a table of samples to a locked connection (`engines.tables.Tables.connect`).
    """
    wrong = []
    for rule in rules:
        if rule.kind != "sql":
            continue
        for kind, examples, expected in (("flags", rule.flags, True), ("passes", rule.passes, False)):
            if kind not in kinds:
                continue
            for i, example in enumerate(examples):
                if not isinstance(example, list):
                    raise RuleError(f"{rule.rule_id}: {kind}[{i}] must be a list of samples, for the rule is sql")
                con = connect(probe_samples(example, rule))
                if bool(_query(con, rule)) != expected:
                    wrong.append((rule.rule_id, kind, i))
                con.close()
    return wrong
