"""Commands that only look leave nothing behind, whether the workspace is there or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from governance.store import Workspace

LOOKING = (
    (2, "verify", "latest"),
    (2, "report", "latest"),
    (2, "show", "latest"),
    (0, "runs"),
    (0, "quarantine", "list"),
    (2, "quarantine", "restore", "aaaaaaaa", "--out", "restored.jsonl"),
    (0, "keys", "list"),
    (0, "purge", "--yes"),
    (2, "purge", "aaaaaaaa", "--yes"),
    (2, "accept", "latest", "rest/*", "--reason", "r", "--owner", "o", "--expires", "2099-01-01"),
)


@pytest.mark.parametrize("command", LOOKING, ids=lambda c: " ".join(c[1:4]))
def test_no_workspace_is_made(governance: Any, tmp_path: Path, command: tuple[Any, ...]) -> None:
    """Where there is no workspace, none is made by looking for something in it."""
    code, *arguments = command
    place = tmp_path / "nowhere" / "ws"
    ended = governance(*arguments, "--workspace", place)
    assert (ended.code, place.parent.exists()) == (code, False), ended.out + ended.err
    assert not Path("restored.jsonl").exists()


def test_a_workspace_is_left_as_it_was(governance: Any, workspace: Path, passing: Path) -> None:
    """Looking at a run changes no file, no folder and no mode of its workspace, not even what a killed process left."""
    assert governance("check", passing, "--workspace", workspace, "--no-record").code == 0
    (workspace / "datasets" / ".work" / "work-1-dead").mkdir()
    (workspace / "datasets").chmod(0o750)

    def state() -> list[tuple[str, int, int, int]]:
        found = [workspace, *sorted(workspace.rglob("*"))]
        return [(str(p), p.stat().st_mode, p.stat().st_mtime_ns, p.stat().st_size) for p in found]

    before = state()
    for arguments in (("verify", "latest"), ("report", "latest"), ("show", "latest"), ("quarantine", "list")):
        assert governance(*arguments, "--workspace", workspace).code == 0
    assert state() == before


def test_runs_are_listed_where_nothing_can_be_written(governance: Any, workspace: Path, passing: Path) -> None:
    """Without an index, and without a folder to make one in, runs are read from their own folders."""
    assert governance("check", passing, "--workspace", workspace, "--no-record").code == 0
    (workspace / "datasets" / ".work").rename(workspace / "elsewhere")
    [run] = Workspace(workspace, make=False).list_runs()
    assert (run["status"], (workspace / "index.duckdb").exists()) == ("PASSED", False)
