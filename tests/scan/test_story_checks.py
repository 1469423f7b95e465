"""Which faults of a story are flagged, and what the finding says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from governance.rules import load_rules
from governance.scan import story_checks as checks
from governance.scan.prove import prove_rules
from governance.scan.stories import extract_stories

WHOLE = "假设 a\n当 b\n于是 c\n"


def flagged(check: Callable[..., Any], text: str, **params: Any) -> list[tuple[str, str]]:
    """The first line of every flagged place, and its detail."""
    hits = [h for story in extract_stories(text) for h in check(story, text, params)]
    return [(text[h.start : h.end].split("\n", maxsplit=1)[0], h.detail) for h in hits]


def test_too_few_criteria_say_how_many():
    """Declared criteria decide; the detail names declared, effective and expected."""
    text = f"用户故事：x\nAC 1: y\n{WHOLE}"
    assert flagged(checks.too_few_acs, text, min=2) == [("用户故事：x", "declared 1, effective 1, expected 2")]
    assert flagged(checks.too_few_acs, text + "AC 2: z", min=2) == []
    assert flagged(checks.too_few_effective_acs, text + "AC 2: z", min=2) == [
        ("用户故事：x", "declared 2, effective 1, expected 2")
    ]


def test_numbers_that_jump():
    """A list that begins at 2, repeats or skips a number is flagged once, at the first wrong number."""
    head = "用户故事：x\n"
    for numbers, detail in (
        ("2 3", "number 2, expected 1"),
        ("1 2 2 4", "number 2, expected 3"),
        ("1 3", "number 3, expected 2"),
    ):
        text = head + "".join(f"AC {n}: {i}\n{WHOLE}" for i, n in enumerate(numbers.split()))
        assert [d for _, d in flagged(checks.broken_numbering, text)] == [detail]
    assert flagged(checks.broken_numbering, head + f"AC 1: a\n{WHOLE}AC 2: b\n{WHOLE}") == []


def test_equal_titles_and_results():
    """Case, space and punctuation do not make a title another one."""
    text = f"用户故事：x\nAC 1: 可以登录\n{WHOLE}AC 2：可以登录。\n假设 d\n当 e\n于是 可以 登录"
    assert flagged(checks.duplicate_ac_titles, text) == [("AC 2：可以登录。", "same as number 1")]
    assert flagged(checks.then_restates_title, text) == [("于是 可以 登录", "")]


def test_placeholders_are_whole_texts():
    """A step that is nothing but ``xxx`` was never filled in; one that mentions it was."""
    assert flagged(checks.template_left, "AC 1: a\n假设 xxx\n当 按下 xxx\n于是 XXX") == [
        ("假设 xxx", "given"),
        ("于是 XXX", "then"),
    ]


def test_the_pack_proves_itself():
    """Every rule of the pack flags its `flags` and leaves its `passes` alone."""
    rules = load_rules(["stories"])
    assert len(rules) == 15
    assert prove_rules(rules) == []
