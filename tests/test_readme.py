"""Every command of the README runs as it stands there, and the Chinese README says the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import doc_files
import pytest
from doc_files import Command

ENGLISH, CHINESE = doc_files.ROOT / "README.md", doc_files.ROOT / "README.zh-CN.md"

NOT_RUN = {
    "make demo": "takes minutes; tests/test_demo.py runs its loop on the shop",
    "make test": "would run this test again",
    "make wheelhouse": "fetches wheels",
    "pip install": "needs that wheelhouse; tests/test_wheel.py installs the wheel",
}
"""Beginning of a command -> why no test runs it. Their make targets and the name that is installed are checked."""

SAID = {
    "governance check train.jsonl --pipeline governance.yaml": "CLOSED",
    "governance show --rule rest/crud-name": "createPost",
    "governance check clean.jsonl": "PASSED",
    "governance quarantine list": "dropped: rest-naming",
    "governance verify": "PASSED",
    "governance rules test rules": "1 rules, 0 problems",
}
"""Beginning of a command -> what it says on stdout, where the text promises it."""


def shell() -> list[Command]:
    """All commands of the README, in order."""
    return [c for block in doc_files.blocks(ENGLISH, "sh") for c in doc_files.commands(block)]


def skipped(command: Command) -> bool:
    """Return whether a test does not run *command*."""
    return any(command.text.startswith(beginning) for beginning in NOT_RUN)


def test_commands(tmp_path: Path) -> None:
    """Every command ends with the exit code that stands beside it, in one folder, from top to bottom."""
    doc_files.make_dataset(tmp_path)
    todo = [c for c in shell() if not skipped(c)]
    assert len(todo) > 15
    wrong, heard = [], dict.fromkeys(SAID, "")
    for command in todo:
        ended = doc_files.run(command, tmp_path)
        wrong += [text for text in [doc_files.complaint(command, ended)] if text]
        for beginning in SAID:
            if command.text.startswith(beginning):
                heard[beginning] = heard[beginning] or ended.stdout
    assert wrong == []
    assert [beginning for beginning, said in SAID.items() if said not in heard[beginning]] == []
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_commands_that_are_not_run() -> None:
    """What no test runs is still in the README, its make target exists, and pip is given our own name."""
    left = [c.text for c in shell() if skipped(c)]
    assert [beginning for beginning in NOT_RUN if not any(t.startswith(beginning) for t in left)] == []
    makefile = (doc_files.ROOT / "Makefile").read_text("utf-8")
    targets = [t.split()[1] for t in left if t.startswith("make ")]
    assert [t for t in targets if not re.search(rf"^{t}:", makefile, re.M)] == []
    project = tomllib.loads((doc_files.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert [t for t in left if t.startswith("pip ") and project["name"] not in t] == []


def test_first_screen() -> None:
    """The two commands and the picture come before the first section."""
    first = ENGLISH.read_text("utf-8").split("\n## ")[0]
    assert "make demo" in first and "make test" in first and "docs/loop.svg" in first
    assert len(first.splitlines()) <= 20


def test_loop_is_ten_lines() -> None:
    """The loop is at most ten lines of shell: propose, check, look, clean, check again, verify."""
    block = doc_files.blocks(ENGLISH, "sh")[1]
    assert len(block.splitlines()) <= 10
    steps = [re.findall(r"^governance (\w+)", c.text)[0] for c in doc_files.commands(block)]
    assert [s for s in ("init", "check", "show", "clean", "verify", "report") if s not in steps] == []
    assert steps.index("check") < steps.index("clean") < len(steps) - 1 - steps[::-1].index("check")


@pytest.mark.parametrize("language", ["sh", "yaml"])
def test_chinese_commands(language: str) -> None:
    """The Chinese README shows the same commands and files, to the letter."""
    assert doc_files.blocks(CHINESE, language) == doc_files.blocks(ENGLISH, language)


def test_chinese_structure() -> None:
    """The Chinese README has the same headings by level, the same rows of tables, lists, pictures and links."""
    levels = [[level for level, _ in doc_files.headings(page)] for page in (CHINESE, ENGLISH)]
    assert levels[0] == levels[1]
    for pattern in (r"^\|", r"^(?:\d+\.|-) ", r"\]\((?!README)([^)]+)\)", r"<!-- \w+ -->"):
        found = [re.findall(pattern, page.read_text("utf-8"), re.M) for page in (CHINESE, ENGLISH)]
        assert found[0] == found[1], pattern
    assert "](README.zh-CN.md)" in ENGLISH.read_text("utf-8")
    assert "](README.md)" in CHINESE.read_text("utf-8")
