"""Writing records."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from governance.errors import InputError, WorkspaceError
from governance.ingest import fill_record, ingest_files, write_records

ROWS: list[dict[str, Any]] = [{"b": 'x\r,\n"y"', "a": "用户"}, {"b": "\r", "a": ""}]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".csv", ".parquet"])
def test_same_records_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    """Writing twice gives equal files, whatever their name and time, and leaves nothing else behind."""
    first, second = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    write_records(ROWS, first)
    os.utime(first, (0, 0))
    write_records(iter(ROWS), second)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [first.name, second.name]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_no_records_make_a_file_without_records(tmp_path: Path, suffix: str) -> None:
    """A dataset of nothing can be written and read again."""
    write_records([], tmp_path / f"d{suffix}")
    assert ingest_files(tmp_path / f"d{suffix}", tmp_path / "work").records == 0


def test_carriage_returns_survive_csv(tmp_path: Path) -> None:
    """Line ends of every kind inside a CSV field come back as they were."""
    write_records(ROWS, tmp_path / "d.csv")
    found = ingest_files(tmp_path / "d.csv", tmp_path / "work", columns={"b": "output", "a": "input"})
    assert found.count == 2
    assert not found.quarantine.num_rows
    write_records([{"b": r["b"], "a": r["a"]} for r in ROWS], tmp_path / "d.jsonl")
    same = ingest_files(tmp_path / "d.jsonl", tmp_path / "work", columns={"b": "output", "a": "input"})
    assert same.digest == found.digest


def test_failure_leaves_the_old_file(tmp_path: Path) -> None:
    """When the records end with an error, the file is as it was and nothing half-written is left."""
    out = tmp_path / "d.jsonl"
    out.write_text("old")

    def broken() -> Iterator[dict[str, Any]]:
        yield ROWS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(broken(), out)
    assert out.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["d.jsonl"]


@pytest.mark.parametrize("name", ["d", "d.txt", "d.arrow", "d.parquet.gz", "d.gz"])
def test_unknown_suffix(tmp_path: Path, name: str) -> None:
    """A suffix that cannot be written is named before anything is made."""
    with pytest.raises(InputError, match="suffix"):
        write_records(ROWS, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A missing folder is a WorkspaceError."""
    with pytest.raises(WorkspaceError, match="cannot be written"):
        write_records(ROWS, tmp_path / "gone" / "d.jsonl")


def test_csv_has_one_set_of_columns(tmp_path: Path) -> None:
    """Records with other columns do not fit one CSV file."""
    with pytest.raises(InputError, match="record 1 has other columns"):
        write_records([{"a": "x"}, {"b": "y"}], tmp_path / "d.csv")


def test_a_text_without_its_place_is_refused() -> None:
    """fill_record makes no new columns or turns."""
    with pytest.raises(KeyError):
        fill_record('{"a":null}', {"b": "x"})
    with pytest.raises(IndexError):
        fill_record('{"a":[]}', {"a/0": "x"})
