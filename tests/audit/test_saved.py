"""Saved generations of any system, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from audit_samples import code, sample

from governance.audit.saved import read_saved
from governance.errors import UsageError


def write(path: Path, *rows: Any) -> Path:
    """Rows as JSON Lines."""
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), "utf-8")
    return path


def test_samples_and_records(tmp_path: Path) -> None:
    """A generation names a sample by id, part of it or place, or brings its record; equal records are one sample."""
    known = [sample(1), sample(0xABCDEF012 << 220)]
    rows = [
        {"generation": "g", "sample": known[0].sample_id},
        {"generation": "g", "sample": f"{known[0].file}:1", "model": "base", "draw": 2},
        {"generation": "g", "sample": known[1].sample_id[:10], "prompt": "mine"},
        {"generation": "g", "record": "x = 1", "set": "twin", "group": "shop"},
        {"generation": "h", "record": "x = 1", "set": "twin", "group": "shop"},
    ]
    samples, probes, written = read_saved(write(tmp_path / "t.jsonl", *rows), known)
    assert len(samples) == 3 and samples[2].answer == "x = 1" and samples[2].group == "shop"
    assert [probes[w.probe].sample for w in written] == [0, 0, 1, 2, 2]
    assert [w.how for w in written] == ["greedy", "sampled", "greedy", "greedy", "greedy"]
    assert probes[written[2].probe].prompt == "mine" and "number 1" in probes[written[0].probe].prompt


def test_a_prefix_is_not_wanted_again(tmp_path: Path) -> None:
    """Where the prompt ends with the beginning of the record, the rest of it is what could come back."""
    whole = code(3)
    row = {"generation": "g", "record": whole, "set": "member", "kind": "prefix-50", "prompt": "Go on:\n" + whole[:70]}
    _, probes, _ = read_saved(write(tmp_path / "t.jsonl", row), [])
    assert probes[0].wanted == whole[70:]


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("hush", "is not JSON"), ('["hush"]', "no text 'generation'"), ({"generation": 1}, "no text 'generation'"),
        ({"generation": "hush", "sample": 3}, "sample is no text"),
        ({"generation": "hush", "sample": "hush"}, "none of --members"),
        ({"generation": "hush", "record": "hush"}, "'set' member or twin"),
        ({"generation": "hush", "record": "r", "set": "member", "model": "hush"}, "expected model"),
        ({"generation": "hush", "record": "r", "set": "member", "kind": "hush"}, "expected model"),
        ({"generation": "hush", "record": "r", "set": "member", "draw": -1}, "expected model"),
    ],
)  # fmt: skip
def test_wrong_lines(tmp_path: Path, row: Any, word: str) -> None:
    """A wrong line is named by its number and what was expected; its text is not shown."""
    with pytest.raises(UsageError, match=word) as problem:
        read_saved(write(tmp_path / "t.jsonl", row), [sample(1)])
    message = str(problem.value).removeprefix(str(tmp_path))
    assert "hush" not in message and ":1:" in message


def test_no_generations(tmp_path: Path) -> None:
    """A file without a generation, and a folder, are refused."""
    for path in (write(tmp_path / "empty.jsonl"), tmp_path):
        with pytest.raises(UsageError, match=r"no generation|cannot be read"):
            read_saved(path, [])
