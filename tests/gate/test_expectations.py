"""Great Expectations records the gates, and runs named expectations that work on DuckDB."""

from __future__ import annotations

import html
import os
import re
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pytest
from gate_tables import TEXTS, Tables

from governance.errors import GovernanceError, PipelineError, WorkspaceError
from governance.gate import expectations as module
from governance.gate.expectations import ALLOWED, record_gates, run_expectations, start_import
from governance.gate.judge import ERROR, FAILED, PASSED, WAIVED, GateResult, judge_gate
from governance.settings import Expectation, GateSpec

RATE = GateSpec(rules=["x/*"], limit=0.1)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was reached for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def results() -> list[GateResult]:
    """One gate of every status that judge_gate gives, with names that would mean something in a condition or a page."""
    count = RATE.model_copy(update={"unit": "count", "limit": 2.0})
    return [
        judge_gate("passed", RATE, (10, 1)),
        judge_gate("failed \" or gate>0 or '<b>", RATE, (10, 2)),
        judge_gate("warned", RATE.model_copy(update={"level": "warn"}), (10, 2)),
        judge_gate("not-run", RATE, None),
        judge_gate("error", RATE, None, error="no rule"),
        judge_gate("blind", RATE, (10, 0), probes_missed=["x/a"]),
        judge_gate("empty", RATE, (0, 0)),
        judge_gate("empty-allowed", RATE.model_copy(update={"allow_empty": True}), (0, 0)),
        judge_gate("count", count, (10, 2)),
        judge_gate("count-over", count, (10, 3)),
    ]


def test_record_agrees_with_every_status(
    results: list[GateResult], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    For every status the record agrees; suite, checkpoint, result and pages lie in the folder, and nowhere else.

    Nothing is printed, and the pages load nothing from elsewhere.
    """
    home, out = tmp_path / "home", tmp_path / "run" / "gx"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    assert record_gates(results, out, "run-1") == []
    assert capfd.readouterr() == ("", "")
    assert list(home.iterdir()) == []
    names = {p.relative_to(out).as_posix().split("/")[0] for p in out.rglob("*") if p.is_file()}
    assert names == {"suite.json", "checkpoint.json", "validation.json", "index.html", "expectations", "validations"}
    pages = [p.read_text("utf-8") for p in out.rglob("*.html")]
    assert len(pages) == 3
    for page in pages:
        assert not re.search(r"""<script|<link|<img|(?:src|href|action)\s*=\s*["']?(?:https?:)?//""", page)
        assert str(tmp_path) not in page
    index = (out / "index.html").read_text("utf-8")
    links = re.findall(r'href="([^"]+)"', index)
    assert len(links) == 2
    assert all((out / link).is_file() for link in links)
    shown = html.unescape(" ".join(pages))
    assert all(re.sub(r"[^\w .:/-]", "_", r.gate) in shown for r in results)
    assert "<b>" not in " ".join(pages)
    assert sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) < 500_000


def test_record_disagrees_with_a_false_status(tmp_path: Path) -> None:
    """A status that the numbers do not bear is reported, in both directions."""
    results = [
        GateResult("said-passed", RATE, PASSED, 10, 5, 0.5),
        GateResult("said-failed", RATE, FAILED, 10, 0, 0.0),
        GateResult("nothing-checked", RATE, PASSED, 0, 0, 0.0),
        GateResult("no-value", RATE, PASSED),
        GateResult("waived", RATE, WAIVED, 10, 5, 0.5),
    ]
    lines = record_gates(results, tmp_path, "run-2")
    assert [line.split(":")[0] for line in lines] == ["said-passed", "said-failed", "nothing-checked", "no-value"]
    assert lines[0] == "said-passed: the status is PASSED, Great Expectations says not met"


def test_a_folder_that_cannot_be_written(results: list[GateResult], tmp_path: Path) -> None:
    """A record that cannot be written is an error of the workspace, not a verdict."""
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="the record cannot be written: Not a directory"):
        record_gates(results, tmp_path / "file" / "gx", "run-4")


def test_the_import_can_start_early() -> None:
    """A thread imports the library while other work goes on."""
    start_import().join(60)
    assert "great_expectations" in sys.modules


def test_an_empty_record_is_a_disagreement(tmp_path: Path) -> None:
    """Great Expectations passes an empty suite; here it is a reason."""
    assert record_gates([], tmp_path, "run-3") == ["no gate was recorded"]


MET_AND_NOT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "expect_column_distinct_values_to_be_in_set": (
        {"column": "language", "value_set": ["java", "python", "go"]},
        {"column": "language", "value_set": ["java"]},
    ),
    "expect_column_distinct_values_to_contain_set": (
        {"column": "language", "value_set": ["java"]},
        {"column": "language", "value_set": ["go"]},
    ),
    "expect_column_distinct_values_to_equal_set": (
        {"column": "language", "value_set": ["java", "python"]},
        {"column": "language", "value_set": ["java"]},
    ),
    "expect_column_max_to_be_between": ({"column": "n", "max_value": 9}, {"column": "n", "max_value": 8}),
    "expect_column_mean_to_be_between": ({"column": "n", "min_value": 4}, {"column": "n", "min_value": 5}),
    "expect_column_median_to_be_between": ({"column": "n", "min_value": 4}, {"column": "n", "min_value": 5}),
    "expect_column_min_to_be_between": ({"column": "n", "min_value": 0}, {"column": "n", "min_value": 1}),
    "expect_column_proportion_of_unique_values_to_be_between": (
        {"column": "n", "min_value": 1},
        {"column": "language", "min_value": 0.5},
    ),
    "expect_column_sum_to_be_between": ({"column": "n", "max_value": 45}, {"column": "n", "max_value": 44}),
    "expect_column_to_exist": ({"column": "n"}, {}),
    "expect_column_unique_value_count_to_be_between": (
        {"column": "language", "min_value": 2},
        {"column": "language", "min_value": 3},
    ),
    "expect_column_value_lengths_to_be_between": (
        {"column": "language", "max_value": 6},
        {"column": "language", "max_value": 5},
    ),
    "expect_column_value_lengths_to_equal": ({"column": "sample_id", "value": 64}, {"column": "language", "value": 4}),
    "expect_column_values_to_be_between": (
        {"column": "output_characters", "min_value": 2},
        {"column": "output_characters", "min_value": 3},
    ),
    "expect_column_values_to_be_in_set": (
        {"column": "language", "value_set": ["java"], "mostly": 0.5},
        {"column": "language", "value_set": ["java"]},
    ),
    "expect_column_values_to_be_null": ({"column": "commit"}, {"column": "licence"}),
    "expect_column_values_to_be_unique": ({"column": "n"}, {"column": "group"}),
    "expect_column_values_to_not_be_in_set": (
        {"column": "language", "value_set": ["go"]},
        {"column": "language", "value_set": ["java"]},
    ),
    "expect_column_values_to_not_be_null": ({"column": "group"}, {"column": "licence"}),
    "expect_compound_columns_to_be_unique": ({"column_list": ["file", "row"]}, {"column_list": ["file", "group"]}),
    "expect_table_row_count_to_be_between": ({"min_value": 10}, {"min_value": 11}),
    "expect_table_row_count_to_equal": ({"value": 10}, {"value": 9}),
}


def _fill(tables: Tables) -> None:
    tables.add_samples(10, language=["java", "python"], licence=["MIT", None], group="a")
    tables.fill("texts", TEXTS, [{"n": n, "field": "output", "role": "output", "text": "你好"} for n in range(10)])


def test_every_allowed_expectation_works_on_duckdb(
    tables: Tables, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each allowed expectation is met by data that meets it and by no other; nothing is printed, no file is left."""
    _fill(tables)
    assert set(MET_AND_NOT) == set(ALLOWED)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    met = [Expectation(type=name, kwargs=pair[0]) for name, pair in MET_AND_NOT.items()]
    not_met = [Expectation(type=name, kwargs=pair[1]) for name, pair in MET_AND_NOT.items() if pair[1]]
    assert [(r.name, r.status) for r in run_expectations(tables.con, met) if r.status != PASSED] == []
    assert [(r.name, r.detail) for r in run_expectations(tables.con, not_met) if r.status != FAILED] == []
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    left = {row[0] for row in tables.con.execute("SHOW TABLES").fetchall()}
    assert left == {
        "samples",
        "texts",
        "findings",
        "stories",
        "routes",
        "duplicates",
        "copies",
        "overlaps",
        "quarantine",
    }


def test_expectations_work_on_a_locked_connection(tables: Tables) -> None:
    """User SQL may have locked the database before."""
    _fill(tables)
    tables.con.execute("SET enable_external_access = false")
    tables.con.execute("SET lock_configuration = true")
    unique = Expectation(type="expect_column_values_to_be_unique", kwargs={"column": "n"})
    assert [r.status for r in run_expectations(tables.con, [unique])] == [PASSED]


@pytest.mark.parametrize("name", sorted(set(ALLOWED) - {"expect_column_to_exist"}))
def test_nothing_checked_is_not_a_pass(tables: Tables, name: str) -> None:
    """On an empty table every expectation is FAILED with what is wrong, though Great Expectations would pass most."""
    [result] = run_expectations(tables.con, [Expectation(type=name, kwargs=MET_AND_NOT[name][0])])
    assert (result.status, result.checked, result.detail) == (FAILED, 0, "nothing was checked")


def test_an_all_null_column_is_not_a_pass(tables: Tables) -> None:
    """Great Expectations skips nulls; a column without a value was not checked."""
    _fill(tables)
    wanted = Expectation(type="expect_column_values_to_be_in_set", kwargs={"column": "commit", "value_set": ["a"]})
    [result] = run_expectations(tables.con, [wanted])
    assert (result.status, result.checked) == (FAILED, 0)


@pytest.mark.parametrize(
    ("name", "kwargs", "reason"),
    [
        ("expect_column_values_to_match_regex", {"column": "path", "regex": "a"}, "allowed are expect_column_distinct"),
        ("expect_column_quantile_values_to_be_between", {"column": "n"}, "not supported on DuckDB"),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT 1"}, "not supported on DuckDB"),
        ("expect_column_values_to_be_unique", {}, "'column' is missing"),
        ("expect_column_values_to_be_unique", {"column": "text"}, "column 'text' is unknown"),
        (
            "expect_column_values_to_be_unique",
            {"column": "n", "row_condition": "n<0"},
            "'row_condition' is not allowed",
        ),
        ("expect_column_values_to_not_be_null", {"column": "n", "mostly": 0}, "mostly is 0"),
        ("expect_column_values_to_not_be_null", {"column": "n", "mostly": float("nan")}, "mostly is nan"),
        ("expect_column_values_to_be_between", {"column": "n"}, "give min_value or max_value"),
    ],
)
def test_what_is_not_allowed_is_refused(tables: Tables, name: str, kwargs: dict[str, Any], reason: str) -> None:
    """An expectation that cannot work here, or that would pass on anything, is an error of the pipeline file."""
    with pytest.raises(PipelineError, match=re.escape(reason)):
        run_expectations(tables.con, [Expectation(type=name, kwargs=kwargs)])


def test_one_that_raises_is_an_error_and_the_others_still_run(tables: Tables) -> None:
    """A mean over text raises inside DuckDB: ERROR, without a value in its words, and its neighbours are judged."""
    tables.add_samples(4, licence="planted-value")
    found = run_expectations(
        tables.con,
        [
            Expectation(type="expect_column_mean_to_be_between", kwargs={"column": "licence", "min_value": 0}),
            Expectation(type="expect_column_values_to_be_unique", kwargs={"column": "n", "mostly": 0.5}),
            Expectation(type="expect_column_max_to_be_between", kwargs={"column": "n", "max_value": ["a"]}),
        ],
    )
    assert [r.status for r in found] == [ERROR, PASSED, ERROR]
    assert "planted-value" not in repr(found)


def test_an_import_that_ends_the_process_is_an_error(tmp_path: Path) -> None:
    """Where importing the library calls sys.exit(0), as with pyspark without grpcio, the gate says so and fails."""
    fake = tmp_path / "great_expectations.py"
    fake.write_text("import sys\nsys.exit(0)\n")
    program = """
        from governance.errors import GovernanceError
        from governance.gate.expectations import import_great_expectations
        try:
            import_great_expectations()
        except GovernanceError as problem:
            print(problem)
            raise SystemExit(7)
    """
    path = os.pathsep.join([str(tmp_path), str(Path(module.__file__).parents[2])])
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (7, "")
    assert "install grpcio" in run.stdout
    assert issubclass(PipelineError, GovernanceError)
