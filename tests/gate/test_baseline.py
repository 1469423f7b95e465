"""Accepted findings: by keyed fingerprint, with reason, owner and expiry."""

from __future__ import annotations

import json
import threading
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from gate_tables import FINDINGS, finding

from governance import samples
from governance.errors import PipelineError, UsageError
from governance.gate.baseline import (
    accept,
    accepted_fingerprints,
    load_baseline,
    mark_accepted,
    unused_entries,
)

TODAY = date(2026, 5, 1)
PRINT = "0123456789abcdef01234567"
OTHER = "f" * 24
GIVEN: dict[str, Any] = {"reason": "legacy", "owner": "ann", "expires": date(2026, 8, 1), "today": TODAY}
LINE = {
    "rule": "rest/a",
    "fingerprint": PRINT,
    "reason": "r",
    "owner": "o",
    "created": "2026-05-01",
    "expires": "2026-08-01",
}


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines), "utf-8")
    return path


def test_accepted_findings_are_read_back(tmp_path: Path) -> None:
    """What was accepted counts until the day before it expires."""
    path = tmp_path / "team" / "baseline.jsonl"
    [entry] = accept(path, [("rest/a", PRINT)], approver="bob", **GIVEN)
    assert (entry.owner, entry.approver, entry.created, entry.expires) == ("ann", "bob", "2026-05-01", "2026-08-01")
    baseline = load_baseline(path)
    assert accepted_fingerprints(baseline, TODAY) == {("rest/a", PRINT)}
    assert accepted_fingerprints(baseline, date(2026, 7, 31)) == {("rest/a", PRINT)}
    assert accepted_fingerprints(baseline, date(2026, 8, 1)) == set()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"reason": " "}, "--reason is empty"),
        ({"owner": ""}, "--owner is empty"),
        ({"approver": "ANN "}, "--approver is the owner"),
        ({"expires": TODAY}, "not after today"),
        ({"expires": TODAY - timedelta(days=1)}, "not after today"),
        ({"expires": TODAY + timedelta(days=366)}, "at most 365 days"),
        ({"non_waivable_rules": ["rest/a"]}, "rest/a belongs to a gate that may not be waived"),
    ],
)
def test_what_may_not_be_accepted(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    """Without reason, owner or a near expiry, or for a rule that may not be waived, nothing is written."""
    path = tmp_path / "b.jsonl"
    with pytest.raises(UsageError, match=reason):
        accept(path, [("rest/a", PRINT)], **(GIVEN | change))
    with pytest.raises(UsageError):
        accept(path, [], **GIVEN)
    with pytest.raises(UsageError, match="24 hex digits"):
        accept(path, [("rest/a", "the flagged text")], **GIVEN)
    assert not path.exists()


def test_accepting_twice_adds_nothing(tmp_path: Path) -> None:
    """A finding that is accepted stays as it is; an expired one is accepted anew in place of its old line."""
    path = write(tmp_path / "b.jsonl", LINE, LINE | {"fingerprint": OTHER, "expires": "2026-04-01"})
    added = accept(path, [("rest/a", PRINT), ("rest/a", OTHER), ("rest/a", OTHER)], **GIVEN)
    assert [e.fingerprint for e in added] == [OTHER]
    assert [(e.fingerprint, e.expires) for e in load_baseline(path)] == [(PRINT, "2026-08-01"), (OTHER, "2026-08-01")]


@pytest.mark.parametrize("expires", ["2026-05-01", "2026-04-30", "soon", "2026-13-40", "2999-01-01", "01.08.2026"])
def test_a_date_that_is_passed_unreadable_or_too_far_does_not_count(tmp_path: Path, expires: str) -> None:
    """A hand-edited expiry never makes an entry hold for ever."""
    baseline = load_baseline(write(tmp_path / "b.jsonl", LINE | {"expires": expires}))
    assert accepted_fingerprints(baseline, TODAY) == set()


def test_rules_that_may_not_be_waived_do_not_count(tmp_path: Path) -> None:
    """A line written by hand for such a rule has no effect."""
    baseline = load_baseline(write(tmp_path / "b.jsonl", LINE))
    assert accepted_fingerprints(baseline, TODAY, ["rest/a"]) == set()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("not json", "not JSON"),
        ("[1]", "holds list, expected an object"),
        ('{"rule": "rest/a", "rule": "rest/b"}', "key 'rule' is given twice"),
        (LINE | {"until": "x"}, "until: unknown key"),
        ({k: v for k, v in LINE.items() if k != "owner"}, "owner: expected a text"),
        (LINE | {"reason": " "}, "reason: expected a text that is not empty"),
        (LINE | {"expires": 20260801}, "expires: expected a text"),
        (LINE | {"approver": 1}, "approver: expected a text"),
        (LINE | {"rule": "*"}, "rule: found '*'"),
        (LINE | {"fingerprint": "*"}, "fingerprint: expected 24 hex digits"),
        (LINE, "accepts rest/a a second time (first in line 1)"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: Any, reason: str) -> None:
    """Anything odd in the file is an error with file and line; blank lines are not odd."""
    path = write(tmp_path / "b.jsonl", LINE, "", line)
    with pytest.raises(PipelineError) as caught:
        load_baseline(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert reason in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and one that is not UTF-8 are errors of the file."""
    with pytest.raises(PipelineError, match="cannot be read"):
        load_baseline(tmp_path / "none.jsonl")
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(PipelineError, match="is not UTF-8"):
        load_baseline(tmp_path / "b.jsonl")
    with pytest.raises(PipelineError, match="cannot be written"):
        accept(tmp_path / "b.jsonl" / "c.jsonl", [("rest/a", PRINT)], **GIVEN)


def test_many_that_accept_at_once_lose_nothing(tmp_path: Path) -> None:
    """Sixteen threads add one finding each; all sixteen are in the file."""
    path = tmp_path / "b.jsonl"
    threads = [threading.Thread(target=accept, args=(path, [("rest/a", f"{i:024x}")]), kwargs=GIVEN) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {e.fingerprint for e in load_baseline(path)} == {f"{i:024x}" for i in range(16)}
    assert [p.name for p in tmp_path.iterdir()] == ["b.jsonl"]


def test_entries_that_nothing_uses(tmp_path: Path) -> None:
    """An entry without a finding is listed, so that a baseline shrinks."""
    baseline = load_baseline(write(tmp_path / "b.jsonl", LINE, LINE | {"fingerprint": OTHER}))
    assert [e.line for e in unused_entries(baseline, {("rest/a", PRINT), ("rest/b", OTHER)})] == [2]


def test_findings_are_marked_by_rule_and_fingerprint() -> None:
    """Only a finding with both the rule and the fingerprint of an entry is marked; an old mark is replaced."""
    rows = [finding(0, "rest/a", fingerprint=PRINT), finding(1, "rest/b", fingerprint=PRINT)]
    rows += [finding(2, "rest/a", fingerprint=OTHER, accepted=True)]
    table = samples.table(FINDINGS, rows)
    marked = mark_accepted(table, {("rest/a", PRINT)})
    assert marked["accepted"].to_pylist() == [True, False, False]
    assert mark_accepted(table, set())["accepted"].to_pylist() == [False, False, False]
    assert mark_accepted(table.slice(0, 0), {("rest/a", PRINT)}).num_rows == 0
    assert marked.schema.names == FINDINGS.names
