"""SQL of a user cannot write and reaches nothing outside the run's tables."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from governance.engines.usersql import UserSqlError, is_locked, lock, select
from governance.errors import PipelineError, RuleError


@pytest.fixture
def con(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> duckdb.DuckDBPyConnection:
    """A database on disk with a table and a view over registered Arrow data; a CSV file lies beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("x\n1\n")
    made = duckdb.connect(str(tmp_path / "run.duckdb"), config={"temp_directory": str(tmp_path / "spill")})
    made.register("arrow", pa.table({"n": [1, 2, 3]}))
    made.execute("CREATE TEMP VIEW samples AS SELECT * FROM arrow")
    made.execute("CREATE TABLE findings AS SELECT * FROM arrow")
    return made


def test_tables_and_arrow_views_can_be_read(con: duckdb.DuckDBPyConnection) -> None:
    """A locked connection reads its tables and its views over registered Arrow data."""
    found = select(con, "SELECT count(*) AS checked, 0 AS failed FROM samples JOIN findings USING (n)", "x")
    assert found == (["checked", "failed"], [(3, 0)])
    assert is_locked(con)
    assert con.execute("SELECT count(*) FROM samples").fetchall() == [(3,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM 'a.csv'",
        "SELECT * FROM read_csv('a.csv')",
        "SELECT * FROM read_text('a.csv')",
        "SELECT * FROM read_blob('/etc/hostname')",
        "SELECT * FROM glob('*')",
        "SELECT * FROM sniff_csv('a.csv')",
        "SELECT * FROM query('SELECT * FROM read_text(''a.csv'')')",
        "SELECT * FROM read_parquet('http://127.0.0.1:9/x')",
        "SELECT * FROM enable_logging('QueryLog', storage = 'file', storage_config = {'path': 'log'})",
        "SELECT * FROM enable_profiling(save_location = 'profile.json')",
        "WITH d AS (DELETE FROM findings RETURNING *) SELECT count(*), 0 FROM d",
        "WITH d AS (INSERT INTO findings VALUES (9) RETURNING *) SELECT count(*), 0 FROM d",
        "WITH d AS (UPDATE findings SET n = 0 RETURNING *) SELECT count(*), 0 FROM d",
        "SELECT 1, 0; COMMIT; DROP TABLE findings",
        "COPY findings TO 'o.csv'",
        "EXPORT DATABASE 'o'",
        "ATTACH 'o.duckdb' AS o",
        "INSTALL httpfs",
        "LOAD 'o.duckdb_extension'",
        "CREATE TABLE o AS SELECT 1",
        "DROP TABLE findings",
        "DELETE FROM findings",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA enable_profiling",
        "EXPLAIN ANALYZE SELECT 1",
        "CHECKPOINT",
        "COMMIT",
        "",
        "SELEC 1",
        "SELECT nothing FROM findings",
        "SELECT * FROM secret_variable",
    ],
)
def test_everything_else_is_refused(con: duckdb.DuckDBPyConnection, tmp_path: Path, sql: str) -> None:
    """Reading or writing a file, changing a table, settings, a second statement: refused, and nothing changes."""
    secret_variable = pa.table({"x": [1]})  # a Python variable must not be a table
    before = sorted(p.name for p in tmp_path.iterdir() if p.suffix not in (".wal", ".duckdb") and p.name != "spill")
    with pytest.raises(PipelineError, match=r"^p\.yaml: gate 'g': sql"):
        select(con, sql, "p.yaml: gate 'g'")
    after = sorted(p.name for p in tmp_path.iterdir() if p.suffix not in (".wal", ".duckdb") and p.name != "spill")
    assert after == before
    assert con.execute("SELECT sum(n) FROM findings").fetchall() == [(6,)]
    assert secret_variable.num_rows == 1


def test_the_error_is_the_callers(con: duckdb.DuckDBPyConnection) -> None:
    """A rule's SQL raises RuleError, a gate's PipelineError."""
    with pytest.raises(RuleError, match="reaches for a file"):
        select(con, "SELECT * FROM 'a.csv'", "rules/x/a.yaml", error=RuleError)


def test_a_statement_is_stopped(con: duckdb.DuckDBPyConnection) -> None:
    """A statement that runs too long is interrupted, and the connection still works."""
    with pytest.raises(UserSqlError, match=r"longer than 0\.2 s"):
        select(con, "SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)", "x", seconds=0.2)
    assert select(con, "SELECT 1", "x")[1] == [(1,)]


def test_locking_twice_does_nothing(con: duckdb.DuckDBPyConnection) -> None:
    """A second lock is no error, and a cursor of the database is locked with it."""
    lock(con)
    lock(con)
    assert is_locked(con.cursor())


def test_a_failure_on_data_does_not_quote_it(con: duckdb.DuckDBPyConnection) -> None:
    """DuckDB names the value that it cannot convert; the message here does not, nor does its cause."""
    con.execute("CREATE TABLE texts AS SELECT 'planted' AS text")
    with pytest.raises(UserSqlError, match="failed while it ran: ConversionException") as caught:
        select(con, "SELECT text::INTEGER FROM texts", "x")
    assert "planted" not in str(caught.value)
    assert caught.value.__suppress_context__
