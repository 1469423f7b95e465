"""SQL that a user wrote, a connection -> its rows; it cannot write, and reaches no file and no network.

Measured on DuckDB 2.0.0: ``enable_external_access=false`` refuses every file function, COPY, ATTACH, INSTALL, EXPORT
and the replacement scans over Python variables, while registered Arrow tables and spilling to disk still work, and
``lock_configuration=true`` keeps it so. Two holes are closed here: a SELECT may hold ``WITH d AS (DELETE ...)`` and its
statement type is still SELECT, so the statement runs in a read-only transaction; and a second statement could end that
transaction, so exactly one is taken.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import duckdb

from governance.errors import GovernanceError, PipelineError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SECONDS = 600.0
"""How long one statement may run."""

_ABOUT_SQL = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.SyntaxException)
"""Errors of planning, before a row is read: their text is about the statement. While it runs, they may quote data."""


class UserSqlError(PipelineError):
    """A user's statement that is sound but failed while it ran, or gave the wrong shape."""


def lock(con: DuckDBPyConnection) -> None:
    """
    Switch off external access and lock the configuration, for the whole database and for good.

    Every later COPY, ATTACH or ``SET`` on any connection to the same database fails, so fill the tables first; tables
    made from registered Arrow data still work. A second call does nothing.
    """
    if not is_locked(con):
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")


def is_locked(con: DuckDBPyConnection) -> bool:
    """Return whether user SQL may run on *con*."""
    row = con.execute(
        "SELECT current_setting('enable_external_access'), current_setting('lock_configuration')"
    ).fetchall()[0]
    return row == (False, True)


def select(
    con: DuckDBPyConnection,
    sql: str,
    where: str,
    *,
    error: type[GovernanceError] = PipelineError,
    seconds: float = SECONDS,
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """
    Lock *con* and return the column names and all rows of the one SELECT statement *sql*.

    Runs on *con* itself, not on a cursor: tables registered from Arrow are visible on their own connection only.

    Args:
        con: outside a transaction.
        where: what the message begins with, such as ``default.yaml: gate 'x'``.
        error: raised for a statement that is wrong in itself or that reaches for a file or a table's content.
        seconds: the statement is interrupted after this long.

    Raises:
        error: not one SELECT, not valid SQL, or it tries to read or write something outside the run's tables.
        UserSqlError: it failed on the data or ran too long; the text of the database error is kept out of the
            message, because it may quote a sample.
    """
    try:
        statements = con.extract_statements(sql)
    except duckdb.Error as problem:
        raise error(f"{where}: sql: {_first_line(problem)}") from None
    if len(statements) != 1 or statements[0].type.name != "SELECT":
        found = ", ".join(s.type.name for s in statements) or "nothing"
        raise error(f"{where}: sql: found {found}, expected exactly one SELECT")
    lock(con)
    timer = threading.Timer(seconds, con.interrupt)
    timer.daemon = True
    con.execute("BEGIN TRANSACTION READ ONLY")
    planned = False
    try:
        timer.start()
        con.execute(f"EXPLAIN {statements[0].query}")
        planned = True
        result = con.execute(statements[0])
        return [column[0] for column in result.description or []], result.fetchall()
    except duckdb.PermissionException:
        raise error(
            f"{where}: sql reaches for a file or the network; it may read the tables of the run and nothing else"
        ) from None
    except duckdb.TransactionException:
        raise error(f"{where}: sql tries to change a table; it may only read") from None
    except duckdb.InterruptException:
        raise UserSqlError(f"{where}: sql ran longer than {seconds:g} s and was stopped") from None
    except duckdb.Error as problem:
        if not planned and isinstance(problem, _ABOUT_SQL):
            raise error(f"{where}: sql: {_first_line(problem)}") from None
        raise UserSqlError(f"{where}: sql failed while it ran: {type(problem).__name__}") from None
    finally:
        timer.cancel()
        con.execute("ROLLBACK")


def _first_line(problem: duckdb.Error) -> str:
    return str(problem).split("\n", 1)[0][:300]
