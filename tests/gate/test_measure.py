"""Counts of gates, by SQL over the tables of a run."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from gate_tables import Tables, finding, make_rule

from governance import samples
from governance.engines.usersql import UserSqlError
from governance.errors import PipelineError
from governance.gate.judge import ERROR, FAILED, NOT_RUN, PASSED
from governance.gate.measure import judge_gates, measure_gate, worst_places
from governance.settings import METRICS, GateSpec

SECRETS = GateSpec(rules=["secrets/*"], limit=0)
LEDGER = pa.schema(
    [("step", pa.string()), ("repository", pa.string())]
    + [(c, pa.int64()) for c in ("records_in", "records_kept", "words_in", "words_kept")]
)


def test_rate_counts_samples_once(tables: Tables) -> None:
    """A sample with three findings of a gate's rules is one failed sample; other rules and severities do not count."""
    tables.add_samples(10)
    tables.add_findings(
        finding(1, "secrets/a", 0, 4),
        finding(1, "secrets/a", 9, 12),
        finding(1, "secrets/b", 0, 4),
        finding(2, "rest/a"),
        finding(3, "secrets/b", severity="warning"),
    )
    assert measure_gate(tables.con, "secrets", SECRETS, ["secrets/a", "secrets/b"]) == (10, 1)


def test_count_counts_places(tables: Tables) -> None:
    """With the unit count every finding counts."""
    tables.add_samples(10)
    tables.add_findings(finding(1, "secrets/a", 0, 4), finding(1, "secrets/a", 9, 12))
    spec = GateSpec(rules=["secrets/*"], limit=0, unit="count")
    assert measure_gate(tables.con, "secrets", spec, ["secrets/a"]) == (10, 2)


def test_accepted_findings_do_not_count(tables: Tables) -> None:
    """An accepted finding counts nowhere; one whose mark is null still counts."""
    tables.add_samples(4)
    tables.add_findings(finding(1, "secrets/a", accepted=True), finding(2, "secrets/a", accepted=None))
    assert measure_gate(tables.con, "secrets", SECRETS, ["secrets/a"]) == (4, 1)


def test_records_include_the_quarantined(tables: Tables) -> None:
    """Unreadable records are part of the denominator `records`, and what `quarantined` counts."""
    tables.add_samples(8)
    tables.fill("quarantine", samples.QUARANTINE, [{"file": "d.jsonl", "row": r, "line": r} for r in (8, 9)])
    assert measure_gate(tables.con, "q", GateSpec(metric="quarantined", of="records", limit=0)) == (10, 2)


def test_a_route_fails_by_a_finding_inside_it(tables: Tables) -> None:
    """Of two routes the one with a finding in its span fails; another field or sample does not count for it."""
    tables.add_samples(2)
    spans = [(0, 5, 15), (0, 30, 40), (1, 5, 15)]
    rows = [{"n": n, "row": n, "field": "output", "start": s, "end": e} for n, s, e in spans]
    tables.fill("routes", samples.ROUTES, rows)
    spec = GateSpec(rules=["rest/*"], limit=0, of="routes")
    tables.add_findings(finding(0, "rest/a", 6, 9), finding(0, "rest/a", 10, 12))
    assert measure_gate(tables.con, "rest", spec, ["rest/a"]) == (3, 1)


def test_a_finding_outside_every_route_still_counts(tables: Tables) -> None:
    """A finding on a shared class prefix lies in no route's span and is one failed unit, not none."""
    tables.add_samples(1)
    tables.fill("routes", samples.ROUTES, [{"n": 0, "field": "output", "start": 20, "end": 30}] * 3)
    tables.add_findings(finding(0, "rest/a", 2, 7), finding(0, "rest/b", 2, 7))
    spec = GateSpec(rules=["rest/*"], limit=0, of="routes")
    assert measure_gate(tables.con, "rest", spec, ["rest/a", "rest/b"]) == (3, 1)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("exact-duplicates", 6), ("near-duplicates", 1), ("most-repeated", 3), ("unknown-licence", 4)],
)
def test_metrics(tables: Tables, metric: str, expected: int) -> None:
    """Every built-in metric counts what its description says."""
    tables.add_samples(8, licence=["MIT", None, "Apache-2.0", " Unknown"], sample_id=["a", "b"])
    kinds = ["exact", "exact", "near"]
    tables.fill("duplicates", samples.DUPLICATES, [{"n": i, "kind": k, "sample_id": k} for i, k in enumerate(kinds)])
    assert measure_gate(tables.con, metric, GateSpec(metric=metric, limit=0)) == (8, expected)


def test_every_metric_can_be_measured(tables: Tables) -> None:
    """No built-in metric of the settings is without its SQL."""
    tables.fill("ledger", LEDGER, [])
    for metric in METRICS:
        assert measure_gate(tables.con, metric, GateSpec(metric=metric, limit=0)) == (0, 0)


def test_loss_is_that_of_the_worst_step_or_repository(tables: Tables) -> None:
    """A repository emptied by cleaning shows, though over everything little is lost."""
    rows = [("code", "a", 100, 100, 900, 900), ("code", "b", 10, 1, 90, 30), ("test", "a", 90, 89, 90, 80)]
    tables.fill("ledger", LEDGER, [dict(zip(LEDGER.names, row, strict=True)) for row in rows])
    assert measure_gate(tables.con, "rows", GateSpec(metric="rows-lost", limit=0.5)) == (10, 9)
    assert measure_gate(tables.con, "tokens", GateSpec(metric="tokens-lost", limit=0.5)) == (90, 60)


def test_loss_gates_apply_to_a_clean_only(tables: Tables) -> None:
    """Without a ledger a loss gate is NOT_RUN, says why, and is not among the gates that have to be open."""
    tables.add_samples(1)
    gates = {"rows-lost": GateSpec(metric="rows-lost", limit=0.5), "q": GateSpec(metric="quarantined", limit=0)}
    results, required = judge_gates(tables.con, gates, [])
    assert [(r.gate, r.status) for r in results] == [("rows-lost", NOT_RUN), ("q", PASSED)]
    assert "cleaned dataset only" in results[0].detail
    assert required == ["q"]


def test_a_gate_that_could_never_fail_is_an_error(tables: Tables) -> None:
    """No matching rule, or none of the gate's severities, is an ERROR and not a pass."""
    tables.add_samples(1)
    gates = {"a": GateSpec(rules=["pii/*"], limit=0), "b": GateSpec(rules=["rest/*"], limit=0)}
    results, _ = judge_gates(tables.con, gates, [make_rule("rest/a", "warning")])
    assert [r.status for r in results] == [ERROR, ERROR]
    assert results[0].detail == "no rule that ran matches pii/*"
    assert results[1].detail == "none of its 1 rules has the severity error"


def test_a_missed_probe_is_an_error_of_the_gates_that_use_the_rule(tables: Tables) -> None:
    """Only gates with the blind rule end in ERROR."""
    tables.add_samples(1)
    gates = {"s": SECRETS, "r": GateSpec(rules=["rest/*"], limit=0)}
    rules = [make_rule("secrets/a"), make_rule("rest/a")]
    results, _ = judge_gates(tables.con, gates, rules, probes_missed=["secrets/a"])
    assert [(r.status, r.detail) for r in results] == [(ERROR, "missed probes of secrets/a"), (PASSED, "")]


def test_a_gate_of_the_users_own_sql(tables: Tables) -> None:
    """A user's SELECT of two whole numbers is measured over the tables of the run."""
    tables.add_samples(6, language=["java", "python"])
    spec = GateSpec(sql="SELECT count(*), count(*) FILTER (language = 'java') FROM samples", limit=0.1)
    results, _ = judge_gates(tables.con, {"java": spec}, [])
    assert (results[0].checked, results[0].failed, results[0].status) == (6, 3, FAILED)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT 1", "(int)"),
        ("SELECT 1, 2, 3", "(int, int, int)"),
        ("SELECT 1, 0.5", "(int, Decimal)"),
        ("SELECT 1, NULL", "(int, NoneType)"),
        ("SELECT n, n FROM samples", "2 rows"),
        ("SELECT n, n FROM samples WHERE n > 9", "0 rows"),
        ("SELECT true, false", "(bool, bool)"),
    ],
)
def test_sql_of_another_shape_is_an_error(tables: Tables, sql: str, reason: str) -> None:
    """Anything but one row of two whole numbers closes the gate with what was found."""
    tables.add_samples(2)
    results, _ = judge_gates(tables.con, {"x": GateSpec(sql=sql, limit=0)}, [])
    assert results[0].status == ERROR
    assert f"sql gives {reason}" in results[0].detail


def test_refused_sql_is_an_error_of_the_pipeline_file(tables: Tables, tmp_path: Path) -> None:
    """SQL that writes a file ends with a PipelineError that names the gate, and nothing is written."""
    target = tmp_path / "out.csv"
    spec = GateSpec(sql=f"COPY samples TO '{target}'", limit=0)
    with pytest.raises(PipelineError, match="gate 'x': sql: found COPY"):
        judge_gates(tables.con, {"x": spec}, [])
    assert not target.exists()


def test_a_failure_on_data_does_not_quote_it(tables: Tables) -> None:
    """DuckDB quotes the value it cannot convert; the message of the gate does not."""
    tables.add_samples(1, licence="hunter2-value")
    with pytest.raises(UserSqlError, match="ConversionException") as caught:
        measure_gate(tables.con, "x", GateSpec(sql="SELECT licence::INT, 0 FROM samples", limit=0))
    assert "hunter2" not in str(caught.value)


def test_worst_places(tables: Tables) -> None:
    """The samples with most findings come first, each with its first finding; metrics name their rows."""
    tables.add_samples(4, licence=["MIT", None])
    tables.add_findings(
        finding(1, "secrets/a", 5, 9, line=3), finding(2, "secrets/b", 9, 12), finding(2, "secrets/a", 1, 4, line=2)
    )
    found = worst_places(tables.con, SECRETS, ["secrets/a", "secrets/b"])
    assert [(p["row"], p["rule"], p["line"]) for p in found] == [(2, "secrets/a", 2), (1, "secrets/a", 3)]
    licence = GateSpec(metric="unknown-licence", limit=0)
    assert [p["row"] for p in worst_places(tables.con, licence, most=1)] == [1]
    for metric in METRICS:
        worst_places(tables.con, GateSpec(metric=metric, limit=0))
