"""The summary for a CI job."""

from __future__ import annotations

import re

from made_run import HOSTILE, made_run

from governance.report.markdown import render_markdown


def summary(**how: object) -> str:
    run = made_run(**how)  # type: ignore[arg-type]
    return render_markdown(run.evidence, run.tables, run.spans)


def test_summary():
    """The verdict comes first, then reasons, gates with number and limit, findings, and the checklist by status."""
    text = summary()
    assert text.startswith("# CLOSED: train.jsonl\n")
    assert "| rest-routes | **failed** | 0.75 % | 0 % | 9 / 1,200 samples |" in text
    assert "| rest/crud-name | error | 9 | 9 | 0 | train.jsonl#0 <code>/createPost</code> |" in text
    assert "- not met: " in text
    assert summary(passed=True).startswith("# PASSED: train.jsonl\n")


def test_short():
    """The summary fits a step summary many times over (GitHub takes 1 MiB)."""
    assert len(summary().encode()) < 8_000


def test_hostile():
    """No name or span opens markup, breaks a table row, mentions a person or makes a link."""
    text = summary(name=HOSTILE, file=HOSTILE + " @team https://x", path=HOSTILE)
    plain = summary()
    assert "<script" not in text and "\u202e" not in text and "\x1b" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    assert "@team" not in text and "https://x" not in text
    rows = [re.sub(r"\\\|", "", line).count("|") for line in text.splitlines() if line.startswith("|")]
    assert rows == [line.count("|") for line in plain.splitlines() if line.startswith("|")]


def test_no_secret():
    """The text of a secret is not in the summary."""
    assert "correct horse" not in summary()
