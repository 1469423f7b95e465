"""the tables of a run, as Arrow -> a DuckDB that shows them to SQL and reaches nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from governance.engines import usersql
from governance.errors import InputError, WorkspaceError
from governance.samples import COPIES, DUPLICATES, FINDINGS, OVERLAPS, QUARANTINE, ROUTES, SAMPLES, STORIES

OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}


@dataclass
class Tables:
    """The tables of one run, as Arrow; `connect` shows them to SQL."""

    samples: pa.Table
    findings: pa.Table = field(default_factory=FINDINGS.empty_table)
    stories: pa.Table = field(default_factory=STORIES.empty_table)
    routes: pa.Table = field(default_factory=ROUTES.empty_table)
    duplicates: pa.Table = field(default_factory=DUPLICATES.empty_table)
    copies: pa.Table = field(default_factory=COPIES.empty_table)
    overlaps: pa.Table = field(default_factory=OVERLAPS.empty_table)
    quarantine: pa.Table = field(default_factory=QUARANTINE.empty_table)
    ledger: pa.Table | None = None
    origins: pa.Table | None = None  # ORIGINS; kept with the run, not shown to SQL

    def connect(
        self, *, memory_limit: int | None = None, threads: int = 2, spill: Path | None = None
    ) -> duckdb.DuckDBPyConnection:
        """
        Return an in-memory database that holds these tables and nothing else, without access to files or network.

        Everything but the texts is copied by column; ``texts`` and the text columns of ``samples`` stay views over
        the memory-mapped Arrow file. External access is off and the configuration locked, so SQL from a pipeline or
        rule file can read these tables only.
        """
        con = open_database(memory_limit=memory_limit, threads=threads, spill=spill)
        con.register("arrow_samples", self.samples)
        plain = ", ".join(f'"{c}"' for c in SAMPLES.names if c not in ("texts", "record"))
        con.execute(f"create table sample_rows as select {plain} from arrow_samples")
        con.execute(
            "create view texts as select n, t.field, t.role, t.text from (select n, unnest(texts) t from arrow_samples)"
        )
        joined = ", ".join(
            f"array_to_string(list_transform(list_filter(texts, lambda t: t.role = '{r}'), lambda t: t.text), chr(10))"
            f" as {r}"
            for r in ("system", "instruction", "input", "output")
        )
        con.execute(f"create view samples as select {plain}, {joined} from arrow_samples")
        self.refresh(con)
        usersql.lock(con)
        return con

    def refresh(self, con: duckdb.DuckDBPyConnection) -> None:
        """Replace the step tables of *con* by the current ones."""
        quarantine = self.quarantine.drop_columns(["raw"]) if "raw" in self.quarantine.column_names else self.quarantine
        named = {
            "findings": self.findings, "stories": self.stories, "routes": self.routes,
            "duplicates": self.duplicates, "copies": self.copies, "overlaps": self.overlaps, "quarantine": quarantine,
        }  # fmt: skip
        if self.ledger is not None:
            named["ledger"] = self.ledger
        for name, data in named.items():
            con.register("incoming", data)
            con.execute(f'create or replace table "{name}" as select * from incoming')  # overlaps is a word of SQL
            con.unregister("incoming")


def open_database(
    path: Path | None = None, *, memory_limit: int | None = None, threads: int = 2, spill: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Open DuckDB (in memory without *path*) without extensions; ``memory_limit`` in bytes, spilling to *spill*.

    Without *spill* nothing is spilled: DuckDB's own choice is ``.tmp`` in the current folder, outside the store.
    """
    config: dict[str, Any] = {**OFFLINE, "threads": threads, "temp_directory": str(spill) if spill else ""}
    if memory_limit:
        config["memory_limit"] = f"{memory_limit // (1 << 20)}MiB"
    con = duckdb.connect(str(path) if path else ":memory:", config=config)
    con.execute("set enable_progress_bar = false")
    return con


@contextmanager
def refused_memory() -> Iterator[None]:
    """Turn what is raised for want of memory, by DuckDB, Arrow, NumPy or Python, into one line that helps."""
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError) as problem:
        raise WorkspaceError(
            f"the memory does not suffice for this dataset ({type(problem).__name__}); raise --memory-limit, or lower "
            "--processes"
        ) from None


def read_samples(samples: Path) -> pa.Table:
    """Memory-map the Arrow file *samples*; no byte is copied."""
    try:
        return pa.ipc.open_file(pa.memory_map(str(samples))).read_all()
    except (OSError, pa.ArrowInvalid) as problem:
        raise InputError(f"{samples}: not a samples file: {type(problem).__name__}") from None
