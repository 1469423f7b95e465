"""tables of a run, gates -> (checked, failed) of each gate, by SQL.

Denominators: *samples* readable samples, *records* those and the quarantined ones, *routes* and *stories* what the
extractors found. For a gate over rules and the unit *rate*, ``failed`` counts the units with a finding; for *count*
it counts the findings. Accepted findings (see baseline.py) count nowhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from governance.engines import usersql
from governance.errors import PipelineError
from governance.gate.judge import NOT_RUN, GateResult, judge_gate
from governance.rules import Rule, select
from governance.samples import OVERLAP_CLASSES
from governance.settings import GateSpec

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LEDGER_METRICS = {"rows-lost": ("records_in", "records_kept"), "tokens-lost": ("words_in", "words_kept")}
"""Metrics over the account of a clean, and the columns they compare."""

UNKNOWN_LICENCES = ("", "unknown", "none", "noassertion", "null", "n/a", "other", "proprietary-unknown")
"""Values of the licence column, lower-case, that name no licence (NONE and NOASSERTION are SPDX's)."""

NOTHING_TO_COMPARE = {
    "protected-overlap": "nothing to compare with: name a source index under overlap.indexes, or --index",
    "benchmark-overlap": "nothing to compare with: name item files under overlap.benchmarks, or an index of items",
    "held-out-overlap": "nothing to compare with: name a dataset under overlap.held_out, or --held-out",
    "split-overlap": "the dataset has no parts: expected files named train*, and valid*, dev*, test*, eval* or audit*",
}
"""Why a gate on overlap is an ERROR where no source was named; what was not compared has not passed."""

LARGEST = 100_000_000
"""A user's own SQL counts no more than this; a longer number is taken for a value of the data and not shown."""

CHECKED = {
    "samples": "SELECT count(*) FROM samples",
    "records": "SELECT (SELECT count(*) FROM samples) + (SELECT count(*) FROM quarantine)",
    "routes": "SELECT count(*) FROM routes",
    "stories": "SELECT count(*) FROM stories",
}

_HITS = """
    SELECT n, field, "start", "end" FROM findings
    WHERE rule IN (SELECT unnest($rules::VARCHAR[])) AND severity IN (SELECT unnest($severities::VARCHAR[]))
      AND accepted IS NOT TRUE
"""

_METRICS = {
    "quarantined": "SELECT count(*) FROM quarantine",
    "unknown-licence": "SELECT count(*) FROM samples"
    " WHERE coalesce(lower(trim(licence)), '') IN (SELECT unnest($unknown::VARCHAR[]))",
    "exact-duplicates": "SELECT count(*) - count(DISTINCT sample_id) FROM samples",
    "near-duplicates": "SELECT count(DISTINCT sample_id) FROM duplicates WHERE kind <> 'exact'",
    "renamed-copies": "SELECT count(DISTINCT sample_id) FROM copies",
    "most-repeated": "SELECT coalesce(max(copies) - 1, 0) FROM"
    " (SELECT count(*) AS copies FROM samples GROUP BY sample_id)",
}
_CLASSES = {
    name: '"overlaps" WHERE class IN ({}) AND allowed IS NOT TRUE'.format(", ".join(f"'{c}'" for c in classes))
    for name, classes in OVERLAP_CLASSES.items()
}
_METRICS |= {name: f"SELECT count(DISTINCT n) FROM {rows}" for name, rows in _CLASSES.items()}


def measure_gate(
    con: DuckDBPyConnection, name: str, spec: GateSpec, rule_ids: Sequence[str] = ()
) -> tuple[int, int] | None:
    """
    Return (checked, failed) of one gate.

    Args:
        con: holds the tables of the run; outside a transaction.
        rule_ids: the rules that ``spec.rules`` selects (rules.select).

    Returns:
        None where the gate does not apply: a loss metric on a dataset that was not cleaned (no table ``ledger``).

    Raises:
        PipelineError: the gate's own SQL is refused; UserSqlError, a subclass, when it fails or has the wrong shape.
    """
    if spec.sql is not None:
        return _measure_sql(con, name, spec.sql)
    if spec.metric in LEDGER_METRICS:
        return _measure_loss(con, spec) if _has_ledger(con) else None
    checked = _number(con, CHECKED[spec.of])
    if spec.metric == "split-overlap":
        checked = _held_out(con)
    if spec.metric is not None:
        sql = _METRICS[spec.metric]
        return checked, _number(con, sql, {"unknown": list(UNKNOWN_LICENCES)} if "$unknown" in sql else {})
    hits = {"rules": list(rule_ids), "severities": list(spec.severity)}
    if spec.unit == "count":
        return checked, _number(con, f"SELECT count(*) FROM ({_HITS})", hits)
    if spec.of in ("samples", "records"):
        return checked, _number(con, f"SELECT count(DISTINCT n) FROM ({_HITS})", hits)
    return checked, _failed_units(con, spec.of, checked, hits)


def _held_out(con: DuckDBPyConnection) -> int:
    """Count the samples in held-out files, of which `split-overlap` is a share."""
    from governance.dedup.parts import file_part

    files = con.execute("SELECT file, count(*) FROM samples GROUP BY file").fetchall()
    return sum(count for file, count in files if file_part(file or "") not in ("", "train"))


def judge_gates(
    con: DuckDBPyConnection,
    gates: Mapping[str, GateSpec],
    rules: Iterable[Rule],
    *,
    probes_missed: Iterable[str] = (),
    compared: Collection[str] = (),
) -> tuple[list[GateResult], list[str]]:
    """
    Measure and judge every gate, in order.

    Args:
        rules: the rules that were run, disabled ones left out.
        probes_missed: ids of rules that missed one of their own probes, and metrics that missed theirs.
        compared: the overlap metrics that something was compared for; a gate on another one is an ERROR.

    Returns:
        the results, and the names of the gates that have to be open: the required ones that apply here. A gate that
        does not apply has the status NOT_RUN and says why.

    Raises:
        PipelineError: a gate's own SQL is refused.
    """
    known = tuple(rules)
    missed = set(probes_missed)
    results, required = [], []
    for name, spec in gates.items():
        ids = select(known, spec.rules) if spec.rules is not None else []
        error = _vacuous(spec, [r for r in known if r.rule_id in set(ids)])
        if spec.metric in OVERLAP_CLASSES and spec.metric not in compared:
            error = NOTHING_TO_COMPARE[spec.metric]
        measured = None
        try:
            measured = None if error else measure_gate(con, name, spec, ids)
        except usersql.UserSqlError as problem:
            error = str(problem)
        if measured is None and not error and spec.metric in LEDGER_METRICS:
            detail = "applies to a cleaned dataset only; this one was not cleaned by this run"
            results.append(GateResult(name, spec, NOT_RUN, detail=detail))
            continue
        blind = sorted(missed & {*ids, spec.metric})
        results.append(judge_gate(name, spec, measured, error=error, probes_missed=blind))
        if spec.required:
            required.append(name)
    return results, required


def worst_places(
    con: DuckDBPyConnection, spec: GateSpec, rule_ids: Sequence[str] = (), *, most: int = 5
) -> list[dict[str, Any]]:
    """
    Return up to *most* places behind a gate's number: ``{file, row, field, line, rule}``, no text.

    For rules the first finding of the samples with most findings; for the built-in metrics the rows that count. A gate
    of the user's own SQL and the loss metrics have no places.
    """
    base = "SELECT file, \"row\", '' AS field, 0 AS line, '' AS rule FROM "
    order = f' ORDER BY file, "row" LIMIT {int(most)}'
    names = ("file", "row", "field", "line", "rule")
    sql, parameters = "", {}
    if spec.rules is not None:
        parameters = {"rules": list(rule_ids), "severities": list(spec.severity)}
        sql = f"""
            SELECT file, "row", field, line, rule FROM (
                SELECT *, count(*) OVER (PARTITION BY n) AS hits,
                    row_number() OVER (PARTITION BY n ORDER BY field, "start", "end", rule) AS place
                FROM findings WHERE rule IN (SELECT unnest($rules::VARCHAR[])) AND accepted IS NOT TRUE
                    AND severity IN (SELECT unnest($severities::VARCHAR[])))
            WHERE place = 1 ORDER BY hits DESC, n LIMIT {int(most)}"""
    elif spec.metric == "quarantined":
        sql = "SELECT file, \"row\", '' AS field, line, reason FROM quarantine" + order
    elif spec.metric == "unknown-licence":
        parameters = {"unknown": list(UNKNOWN_LICENCES)}
        condition = "WHERE coalesce(lower(trim(licence)), '') IN (SELECT unnest($unknown::VARCHAR[]))"
        sql = f"{base} samples {condition}{order}"
    elif spec.metric in ("exact-duplicates", "near-duplicates"):
        sign = "=" if spec.metric == "exact-duplicates" else "<>"
        sql = f"{base} duplicates WHERE kind {sign} 'exact'{order}"
    elif spec.metric == "renamed-copies":
        sql = f"{base} copies{order}"
    elif spec.metric in _CLASSES:
        sql = f"""
            SELECT file, "row", any_value(field ORDER BY lexemes DESC, field),
                any_value(line ORDER BY lexemes DESC, field),
                any_value(class ORDER BY lexemes DESC, field)
            FROM {_CLASSES[spec.metric]} GROUP BY n, file, "row" ORDER BY max(lexemes) DESC, n LIMIT {int(most)}"""
    elif spec.metric == "most-repeated":
        most_copies = "(SELECT sample_id FROM samples GROUP BY sample_id ORDER BY count(*) DESC, min(n) LIMIT 1)"
        sql = f"{base} samples WHERE sample_id IN {most_copies}{order}"
    rows = con.execute(sql, parameters).fetchall() if sql else []
    return [dict(zip(names, row, strict=True)) for row in rows]


def _vacuous(spec: GateSpec, rules: Sequence[Rule]) -> str:
    """Why a gate over rules could never fail; it would pass on anything."""
    if spec.rules is None:
        return ""
    if not rules:
        return f"no rule that ran matches {', '.join(spec.rules) or 'an empty list'}"
    if not any(r.severity in spec.severity for r in rules):
        return f"none of its {len(rules)} rules has the severity {' or '.join(spec.severity) or '(none)'}"
    return ""


def _failed_units(con: DuckDBPyConnection, of: str, checked: int, hits: dict[str, Any]) -> int:
    """
    Count the routes or stories with a finding inside their span.

    A finding outside all of them (on a class prefix that several routes share) counts as one unit per place: it must
    not vanish only because it lies elsewhere.
    """
    inside = 'h.n = u.n AND h.field = u.field AND h."start" >= u."start" AND h."end" <= u."end"'
    units = _number(
        con,
        f'SELECT count(*) FROM (SELECT DISTINCT u.n, u.field, u."start", u."end" FROM {of} u'
        f" WHERE EXISTS (SELECT 1 FROM ({_HITS}) h WHERE {inside}))",
        hits,
    )
    outside = _number(
        con,
        f'SELECT count(*) FROM (SELECT DISTINCT h.n, h.field, h."start", h."end" FROM ({_HITS}) h'
        f" WHERE NOT EXISTS (SELECT 1 FROM {of} u WHERE {inside}))",
        hits,
    )
    return min(checked, units + outside) if checked else units + outside


def _measure_sql(con: DuckDBPyConnection, name: str, sql: str) -> tuple[int, int]:
    where = f"gate {name!r}"
    _, rows = usersql.select(con, sql, where, error=PipelineError)
    if len(rows) != 1 or len(rows[0]) != 2 or not all(type(v) is int for v in rows[0]):
        shape = f"{len(rows)} rows" if len(rows) != 1 else f"({', '.join(type(v).__name__ for v in rows[0])})"
        raise usersql.UserSqlError(
            f"{where}: sql gives {shape}, expected one row of two whole numbers (checked, failed)"
        )
    checked, failed = rows[0]
    if not (0 <= checked < LARGEST and 0 <= failed < LARGEST):  # unshown: it may be a card or a telephone of the data
        raise usersql.UserSqlError(f"{where}: sql gives a number that is no count, expected 0 to {LARGEST:,}")
    return checked, failed


def _measure_loss(con: DuckDBPyConnection, spec: GateSpec) -> tuple[int, int]:
    """Return the account of the step or the repository that lost most, by share for *rate*, by number for *count*."""
    before, kept = LEDGER_METRICS[str(spec.metric)]
    by = "lost / greatest(whole, 1)" if spec.unit == "rate" else "lost"
    groups = " UNION ALL ".join(
        f"SELECT coalesce(sum({before}), 0)::BIGINT AS whole, "
        f"greatest(coalesce(sum({before}) - sum({kept}), 0), 0)::BIGINT AS lost FROM ledger GROUP BY {column}"
        for column in ("step", "repository")
    )
    rows = con.execute(f"SELECT whole, lost FROM ({groups}) ORDER BY {by} DESC, whole DESC LIMIT 1").fetchall()
    return (int(rows[0][0]), int(rows[0][1])) if rows else (0, 0)


def _has_ledger(con: DuckDBPyConnection) -> bool:
    return (
        _number(con, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'ledger'")
        + _number(con, "SELECT count(*) FROM duckdb_views() WHERE view_name = 'ledger'")
        > 0
    )


def _number(con: DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
    return int(con.execute(sql, dict(parameters or {})).fetchall()[0][0])
