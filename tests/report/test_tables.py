"""The tables of a run."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_run import finding, made_run

from governance.errors import WorkspaceError
from governance.report.tables import FINDINGS_ACCEPTED, RunTables, first_places, largest_clusters, ranks


def write(tables: RunTables, run: Path) -> None:
    for name in ("findings", "duplicates", "quarantine"):
        pq.write_table(getattr(tables, name), run / f"{name}.parquet")


def test_read(tmp_path: Path):
    """What is written is read back, also from a file whose strings are dictionaries."""
    tables = made_run().tables
    write(tables, tmp_path)
    at = FINDINGS_ACCEPTED.get_field_index("rule")
    coded = tables.findings.set_column(at, "rule", tables.findings["rule"].dictionary_encode())
    pq.write_table(coded, tmp_path / "findings.parquet")
    assert RunTables.read(tmp_path) == tables


def test_damaged(tmp_path: Path):
    """A missing table, one that is no Parquet and one without a column are each named with what to do."""
    with pytest.raises(WorkspaceError, match=re.escape("findings.parquet: is missing, the run is not whole")):
        RunTables.read(tmp_path)
    write(made_run().tables, tmp_path)
    pq.write_table(pa.table({"n": [1]}), tmp_path / "quarantine.parquet")
    with pytest.raises(WorkspaceError, match=r"quarantine.parquet: cannot be read .*expected the columns file, row"):
        RunTables.read(tmp_path)
    (tmp_path / "duplicates.parquet").write_bytes(b"no table")
    with pytest.raises(WorkspaceError, match=r"duplicates\.parquet: cannot be read"):
        RunTables.read(tmp_path)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", None]), st.booleans())))
def test_ranks(rows: list[tuple[str, str | None, bool]]):
    """Groups and ranks are those of counting row by row."""
    table = pa.table(
        {
            "a": pa.array([r[0] for r in rows], pa.string()),
            "b": pa.array([r[1] for r in rows], pa.string()),
            "c": pa.array([r[2] for r in rows], pa.bool_()),
        }
    )
    group, rank, groups = ranks(table, ["a", "b", "c"])
    seen: dict[tuple[str, str | None, bool], int] = {}
    numbers: dict[tuple[str, str | None, bool], int] = {}
    for i, row in enumerate(rows):
        assert group[i] == numbers.setdefault(row, len(numbers))
        assert rank[i] == seen.get(row, 0)
        seen[row] = seen.get(row, 0) + 1
    assert groups == len(numbers)


def test_first_places():
    """The first findings of each rule that are not accepted, in table order."""
    rows = [finding(n, f"a/{'xyz'[n % 3]}", n, n + 1, accepted=n < 6) for n in range(30)]
    places = first_places(pa.Table.from_pylist(rows, schema=FINDINGS_ACCEPTED), 2)
    assert {rule: [p["n"] for p in found] for rule, found in places.items()} == {
        "a/x": [6, 9],
        "a/y": [7, 10],
        "a/z": [8, 11],
    }


def test_largest_clusters():
    """The largest cluster comes first, with its size, the kept place and the first copies."""
    first, second = largest_clusters(made_run().tables.duplicates, 5, 2)
    assert (first["cluster"], first["size"], first["kinds"]) == (7, 7, {"exact": 6})
    assert first["kept"] == {"file": "train.jsonl", "row": 7}
    assert [row["row"] for row in first["removed"]] == [100, 101]
    assert (second["cluster"], second["size"], second["kinds"]) == (9, 4, {"near": 3})
    assert largest_clusters(made_run(passed=True).tables.duplicates, 5, 2) == []
