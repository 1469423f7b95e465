"""`init` writes a pipeline that loads, with today's numbers beside the limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance.settings import load_pipeline


def test_without_a_dataset(governance: Any, workspace: Path, tmp_path: Path) -> None:
    """Without a dataset the proposal is the built-in pipeline under another name."""
    assert governance("init", "--workspace", workspace).code == 0
    own, builtin = load_pipeline(str(tmp_path / "governance.yaml")), load_pipeline("default")
    assert own.name == "own" and own.gates == builtin.gates and own.packs == builtin.packs


def test_numbers_of_today(governance: Any, workspace: Path, closing: Path, tmp_path: Path) -> None:
    """With a dataset each gate carries its number, and the proposal judges it as the built-in pipeline does."""
    assert governance("init", closing, "--out", "own.yaml", "--workspace", workspace).code == 0
    text = (tmp_path / "own.yaml").read_text("utf-8")
    assert "# today: 1 (1 of 15 samples); closed, a ratchet would be 1\n  personal-data:" in text
    assert text.count("# today:") == len(load_pipeline("default").gates)
    assert not list((workspace / "runs").iterdir())
    ended = governance("check", closing, "--pipeline", "own.yaml", "--workspace", workspace, "--no-record")
    assert ended.code == 1


def test_existing_file_is_kept(governance: Any, workspace: Path, tmp_path: Path) -> None:
    """A file that is there is not written over."""
    (tmp_path / "governance.yaml").write_text("mine")
    ended = governance("init", "--workspace", workspace)
    assert ended.code == 2 and (tmp_path / "governance.yaml").read_text() == "mine"


def test_columns_are_guessed(
    governance: Any, workspace: Path, write_jsonl: Callable[..., Path], control: list[Any], tmp_path: Path
) -> None:
    """For a shape that nobody knows, the column map is guessed from the names, and the proposal then reads the data."""
    records = [
        {"Question": r["instruction"], "context": r["input"], "Answer": r["output"], "license": "Apache-2.0"}
        for r in control
    ]
    data = write_jsonl(records)
    assert governance("init", data, "--out", "own.yaml", "--workspace", workspace).code == 0
    columns = load_pipeline(str(tmp_path / "own.yaml")).columns
    assert columns == {"Question": "instruction", "context": "input", "Answer": "output", "license": "licence"}
    ended = governance("check", data, "--pipeline", "own.yaml", "--workspace", workspace, "--no-record")
    assert ended.code == 0, ended.out


@pytest.mark.parametrize("content", ["", "{\n", "[1]\n"])
def test_nothing_to_measure(content: str, governance: Any, workspace: Path, tmp_path: Path) -> None:
    """A dataset without samples gives a proposal that loads, not an error."""
    (tmp_path / "bad.jsonl").write_text(content)
    assert governance("init", "bad.jsonl", "--out", "own.yaml", "--workspace", workspace).code == 0
    assert load_pipeline(str(tmp_path / "own.yaml")).columns == {}
