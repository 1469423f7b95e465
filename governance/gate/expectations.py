"""gate results, named expectations -> Great Expectations' record of them. The only module that imports it.

What is known of Great Expectations 1.24 and kept from the user here: it passes on nothing (an empty table, an all-null
column, a row condition that selects no row), so ``checked`` is our own count and row conditions are refused; it
writes offending values into its results, so everything over the data is BOOLEAN_ONLY and the record holds counts; it
loses results on DuckDB unless the connection stays open; its Data Docs load scripts, style sheets and a logo that
carries an id from the network, so the pages are cleaned; with pyspark but without grpcio its import ends the process.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import logging
import os
import re
import shutil
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from governance import quick
from governance.errors import GovernanceError, PipelineError, WorkspaceError
from governance.gate.judge import ERROR, FAILED, PASSED, ExpectationResult, GateResult
from governance.gate.pages import keep_record
from governance.samples import PROVENANCE
from governance.settings import Expectation

if TYPE_CHECKING:
    from datetime import datetime

    from duckdb import DuckDBPyConnection

LENGTHS = {f"{role}_characters": role for role in ("system", "instruction", "input", "output")}
"""Columns made for expectations: code points of all texts of one role, 0 where the sample has none."""

COLUMNS = ("n", "file", "row", "sample_id", "shape", *PROVENANCE, *LENGTHS)
"""What an expectation may name; no column holds a text of a sample."""


class Shape(NamedTuple):
    """
    What an expectation takes.

    Attributes:
        columns: arguments that name a column or a list of columns.
        bounds: of these one has to be given, or the expectation would hold for anything.
        nulls: null values count too; otherwise Great Expectations skips them, and so does our count.
    """

    columns: tuple[str, ...]
    bounds: tuple[str, ...] = ()
    nulls: bool = False


_RANGE = ("min_value", "max_value")
ALLOWED = {
    "expect_column_distinct_values_to_be_in_set": Shape(("column",), ("value_set",)),
    "expect_column_distinct_values_to_contain_set": Shape(("column",), ("value_set",)),
    "expect_column_distinct_values_to_equal_set": Shape(("column",), ("value_set",)),
    "expect_column_max_to_be_between": Shape(("column",), _RANGE),
    "expect_column_mean_to_be_between": Shape(("column",), _RANGE),
    "expect_column_median_to_be_between": Shape(("column",), _RANGE),
    "expect_column_min_to_be_between": Shape(("column",), _RANGE),
    "expect_column_proportion_of_unique_values_to_be_between": Shape(("column",), _RANGE),
    "expect_column_sum_to_be_between": Shape(("column",), _RANGE),
    "expect_column_to_exist": Shape(("column",), nulls=True),
    "expect_column_unique_value_count_to_be_between": Shape(("column",), _RANGE),
    "expect_column_value_lengths_to_be_between": Shape(("column",), _RANGE),
    "expect_column_value_lengths_to_equal": Shape(("column",), ("value",)),
    "expect_column_values_to_be_between": Shape(("column",), _RANGE),
    "expect_column_values_to_be_in_set": Shape(("column",), ("value_set",)),
    "expect_column_values_to_be_null": Shape(("column",), nulls=True),
    "expect_column_values_to_be_unique": Shape(("column",)),
    "expect_column_values_to_not_be_in_set": Shape(("column",), ("value_set",)),
    "expect_column_values_to_not_be_null": Shape(("column",), nulls=True),
    "expect_compound_columns_to_be_unique": Shape(("column_list",), nulls=True),
    "expect_table_row_count_to_be_between": Shape((), _RANGE),
    "expect_table_row_count_to_equal": Shape((), ("value",)),
}
"""The expectations that work on DuckDB; a test proves each, with data that meets it and data that does not."""

_ARGUMENTS = {
    "column",
    "column_list",
    "min_value",
    "max_value",
    "strict_min",
    "strict_max",
    "value",
    "value_set",
    "mostly",
}
_TABLE = "governance_expectations"  # narrow copy without text; dropped at the end


def import_great_expectations() -> Any:
    """
    Import Great Expectations (about 3 s) and return it; without telemetry, output or a process that ends.

    Raises:
        GovernanceError: it cannot be imported.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    quick.unhide()
    try:
        module = importlib.import_module("great_expectations")
    except SystemExit:
        # pyspark.sql.connect leaves the process where grpcio is missing and there is no main script (SPARK-55667)
        raise GovernanceError(
            "great_expectations ended the process while it was imported, as it does with pyspark but without grpcio; "
            "install grpcio, or uninstall pyspark"
        ) from None
    except ImportError as problem:
        raise GovernanceError(
            f"great_expectations cannot be imported ({problem.name} is missing); install it, or leave out its record"
        ) from None
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL + 1)
    return module


def start_import() -> threading.Thread:
    """
    Import Great Expectations in the background, so that its seconds pass while data is scanned.

    The import lock makes a later import wait for this one; what goes wrong is reported by that one.
    """

    def work() -> None:
        with contextlib.suppress(GovernanceError):
            import_great_expectations()

    thread = threading.Thread(target=work, name="great_expectations", daemon=True)
    thread.start()
    return thread


def record_gates(results: Sequence[GateResult], out: Path, run_id: str, *, moment: datetime | None = None) -> list[str]:
    """
    Let Great Expectations record *results* as suite, checkpoint and Data Docs in the folder *out*.

    Only counts go in. Three expectations per gate: it has a value, enough was checked, the value is within the limit.

    Args:
        moment: the time that is written; now without it.
        out: made if missing; afterwards holds ``suite.json``, ``checkpoint.json``, ``validation.json`` and
            ``index.html`` with its pages, none of which loads anything from elsewhere.

    Returns:
        one line per gate on which Great Expectations and our own status disagree; the verdict is then CLOSED.

    Raises:
        GovernanceError: Great Expectations cannot be imported.
        WorkspaceError: the folder cannot be written.
    """
    if not results:
        return ["no gate was recorded"]
    gx = import_great_expectations()
    work = out / ".work"
    try:
        work.mkdir(parents=True, exist_ok=True)
        with _silence():
            outcome = _run_checkpoint(gx, results, work, gx.RunIdentifier(run_name=run_id, run_time=moment))
        keep_record(work / "gx", out, run_id, moment)
    except OSError as problem:
        raise WorkspaceError(f"{out}: the record cannot be written: {problem.strerror}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    found: dict[int, list[tuple[bool, Any]]] = {}
    for validation in outcome.run_results.values():
        for one in validation.results:
            counted = (one.result or {}).get("element_count")
            found.setdefault(int(one.expectation_config.meta["gate"]), []).append((bool(one.success), counted))
    return [line for i, r in enumerate(results) if (line := _disagreement(r, found.get(i, [])))]


def run_expectations(con: DuckDBPyConnection, expectations: Sequence[Expectation]) -> list[ExpectationResult]:
    """
    Run named stock expectations over the columns of ``samples``, each apart.

    Args:
        con: holds ``samples`` and ``texts``; outside a transaction. Locked or not.

    Returns:
        one result each: FAILED where it is not met or nothing was checked, ERROR where it raised.

    Raises:
        PipelineError: an expectation, argument or column that is not allowed.
        GovernanceError: Great Expectations cannot be imported.
    """
    for expectation in expectations:
        _check_expectation(expectation)
    if not expectations:
        return []
    gx = import_great_expectations()
    names = {c for e in expectations for c in _columns(e)}
    con.execute(f"CREATE OR REPLACE TABLE {_TABLE} AS {_narrow(names)}")
    try:
        checked = [_checked(con, e) for e in expectations]
        with _silence(), _open_batch(gx, con) as batch:
            outcomes = [_validate(gx, batch, e) if n else None for e, n in zip(expectations, checked, strict=True)]
    finally:
        con.execute(f"DROP TABLE IF EXISTS {_TABLE}")
    return [
        _expectation_result(e, n, met, why)
        for e, n, (met, why) in zip(expectations, checked, (o or (False, "") for o in outcomes), strict=True)
    ]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing but results may reach a user's stdout; warnings and progress of the library reach neither stream."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def _run_checkpoint(gx: Any, results: Sequence[GateResult], work: Path, run_id: Any) -> Any:
    import pandas as pd

    rows = [{"gate": i, "name": r.gate, "checked": r.checked, "value": r.value} for i, r in enumerate(results)]
    frame = pd.DataFrame(rows).astype({"gate": "int64", "name": "object", "checked": "float64", "value": "float64"})
    context = gx.get_context(mode="file", project_root_dir=str(work))
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas("gates").add_dataframe_asset("results")
    batch = asset.add_batch_definition_whole_dataframe("all")
    # in the constructor: adding expectations one by one to a stored suite is quadratic
    suite = gx.ExpectationSuite("gates", expectations=[e for i, r in enumerate(results) for e in _recorded(gx, i, r)])
    validation = gx.ValidationDefinition(name="gates", data=batch, suite=context.suites.add(suite))
    actions = importlib.import_module("great_expectations.checkpoint")
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name="gates",
            validation_definitions=[context.validation_definitions.add(validation)],
            actions=[actions.UpdateDataDocsAction(name="docs")],
            result_format="BASIC",
        )
    )
    return checkpoint.run(batch_parameters={"dataframe": frame}, run_id=run_id)


def _recorded(gx: Any, place: int, result: GateResult) -> list[Any]:
    spec = result.spec
    # by number: a gate's name is a user's word and would be evaluated as part of the condition
    common = {
        "row_condition": f"gate=={place}",
        "condition_parser": "pandas",
        "severity": "warning" if spec.level == "warn" else "critical",
        "meta": {"gate": place, "name": result.gate},
    }
    shown = _UNSAFE.sub("_", result.gate)
    least = 0 if spec.allow_empty else 1
    core = gx.expectations
    return [
        core.ExpectColumnValuesToNotBeNull(column="value", description=f"{shown}: was measured", **common),
        core.ExpectColumnValuesToBeBetween(
            column="checked",
            min_value=least,
            description=f"{shown}: at least {least} {spec.of} checked",
            **common,
        ),
        core.ExpectColumnValuesToBeBetween(
            column="value",
            min_value=0,
            max_value=spec.limit,
            description=f"{shown}: {spec.unit} of {spec.of} is at most {spec.limit:g}",
            **common,
        ),
    ]


def _disagreement(result: GateResult, found: list[tuple[bool, Any]]) -> str:
    if len(found) != 3:
        return f"{result.gate}: {len(found)} of 3 expectations were recorded"
    if any(counted != 1 for _, counted in found):
        return f"{result.gate}: an expectation looked at another number of rows than 1, so its success says nothing"
    met = all(success for success, _ in found)
    if met != (result.status == PASSED):
        return f"{result.gate}: the status is {result.status}, Great Expectations says {'met' if met else 'not met'}"
    return ""


_UNSAFE = re.compile(r"[^\w .:/-]")  # Data Docs put a description into the page as it is, and read $ as a template


def _check_expectation(expectation: Expectation) -> None:
    name = expectation.type
    if name not in ALLOWED:
        raise PipelineError(
            f"expectation {name!r} is not supported on DuckDB; allowed are {', '.join(sorted(ALLOWED))}"
        )
    shape, kwargs = ALLOWED[name], expectation.kwargs
    unknown = sorted(set(kwargs) - _ARGUMENTS)
    if unknown:
        raise PipelineError(
            f"expectation {name!r}: {unknown[0]!r} is not allowed; allowed are {', '.join(sorted(_ARGUMENTS))}"
        )
    if missing := [c for c in shape.columns if c not in kwargs]:
        raise PipelineError(f"expectation {name!r}: {missing[0]!r} is missing")
    for column in _columns(expectation):
        if column not in COLUMNS:
            raise PipelineError(f"expectation {name!r}: column {column!r} is unknown; allowed are {', '.join(COLUMNS)}")
    if shape.bounds and all(kwargs.get(b) is None for b in shape.bounds):
        raise PipelineError(f"expectation {name!r}: give {' or '.join(shape.bounds)}; without it anything passes")
    mostly = kwargs.get("mostly", 1)
    if isinstance(mostly, bool) or not isinstance(mostly, (int, float)) or not 0 < mostly <= 1:
        raise PipelineError(f"expectation {name!r}: mostly is {mostly!r}, expected more than 0 and at most 1")


def _columns(expectation: Expectation) -> list[str]:
    columns: list[str] = []
    for argument in ALLOWED[expectation.type].columns:
        value = expectation.kwargs[argument]
        columns += [str(v) for v in value] if isinstance(value, list) else [str(value)]
    return columns


def _narrow(names: set[str]) -> str:
    plain = ", ".join(f's."{c}"' for c in COLUMNS if c not in LENGTHS)
    wanted = [c for c in LENGTHS if c in names]
    if not wanted:
        return f"SELECT {plain} FROM samples s"
    sums = ", ".join(f"coalesce(sum(length(text)) FILTER (role = '{LENGTHS[c]}'), 0)::BIGINT AS {c}" for c in wanted)
    made = ", ".join(f"coalesce(t.{c}, 0) AS {c}" for c in wanted)
    return f"SELECT {plain}, {made} FROM samples s LEFT JOIN (SELECT n, {sums} FROM texts GROUP BY n) t ON s.n = t.n"


def _checked(con: DuckDBPyConnection, expectation: Expectation) -> int:
    """Count the samples whose value is looked at; Great Expectations skips nulls and is then content with nothing."""
    columns = [] if ALLOWED[expectation.type].nulls else _columns(expectation)
    condition = " AND ".join(f'"{c}" IS NOT NULL' for c in columns) or "true"
    return int(con.execute(f"SELECT count(*) FROM {_TABLE} WHERE {condition}").fetchall()[0][0])


def _expectation_result(expectation: Expectation, checked: int, met: bool, why: str) -> ExpectationResult:
    name = f"{expectation.type}({', '.join(_columns(expectation))})"
    if checked == 0:
        return ExpectationResult(name, FAILED, 0, expectation.required, "nothing was checked")
    if why:
        return ExpectationResult(name, ERROR, checked, expectation.required, why)
    status = PASSED if met else FAILED
    return ExpectationResult(name, status, checked, expectation.required, "" if met else "not met")


def _validate(gx: Any, batch: Any, expectation: Expectation) -> tuple[bool, str]:
    """Return whether it is met, and why it raised; the text of the exception may quote a value and stays out."""
    errors = importlib.import_module("great_expectations.exceptions")
    alchemy = importlib.import_module("sqlalchemy.exc")
    make = getattr(gx.expectations, "".join(part.capitalize() for part in expectation.type.split("_")))
    known = (errors.GreatExpectationsError, alchemy.SQLAlchemyError, TypeError, ValueError, LookupError, AttributeError)
    try:
        outcome = batch.validate(make(**expectation.kwargs), result_format="BOOLEAN_ONLY")
    except known as problem:
        return False, f"raised {type(problem).__name__}"
    info = outcome.exception_info or {}
    raised = info.get("raised_exception", any(isinstance(v, dict) for v in info.values()))
    return bool(outcome.success), "raised an exception inside Great Expectations" if raised else ""


@functools.cache
def _datasource() -> Any:
    """Make and register the data source that keeps its connection; without that every result on DuckDB is lost."""
    engines = importlib.import_module("great_expectations.execution_engine")
    fluent = importlib.import_module("great_expectations.datasource.fluent")

    class KeptEngine(engines.SqlAlchemyExecutionEngine):  # type: ignore[misc, name-defined]
        _connection: Any

        @contextlib.contextmanager
        def get_connection(self) -> Iterator[Any]:
            if not self._connection:
                self._connection = self.engine.connect()
            yield self._connection

    class GovernanceDuckDB(fluent.SQLDatasource):  # type: ignore[misc, name-defined]
        type: Literal["governance_duck_db"] = "governance_duck_db"

        @property
        def execution_engine_type(self) -> Any:
            return KeptEngine

    return GovernanceDuckDB


@contextlib.contextmanager
def _open_batch(gx: Any, con: DuckDBPyConnection) -> Iterator[Any]:
    _datasource()
    wrapper = importlib.import_module("duckdb_engine").ConnectionWrapper
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    source = context.data_sources.add_governance_duck_db(
        name="run", connection_string="duckdb:///:memory:", kwargs={"creator": lambda: wrapper(con.cursor())}
    )
    asset = source.add_table_asset("samples", table_name=_TABLE)
    try:
        yield asset.add_batch_definition_whole_table("all").get_batch()
    finally:
        source.get_execution_engine().close()
