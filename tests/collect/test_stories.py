"""Stories in documents."""

from __future__ import annotations

from collections import Counter

import pytest

from governance.collect.stories import StoryText, find_stories


def stories(text: str, *, feature: bool = False) -> list[StoryText]:
    return list(find_stories(text, feature=feature, skipped=Counter()))


def test_headers_and_headings() -> None:
    """A story starts at its own header or at the heading above a role line, and ends before the next of either."""
    text = """# Docs
intro

## 用户故事：购买电影票
作为 观众
我想 购买电影票
以便于 看电影

AC 1: 成功
假设 已登录
当 点击
于是 出票

## Refund a ticket

As a visitor, I want a refund.

### Acceptance criteria
1. AC01 it is paid back

## Notes
As a rule, nothing here is a story.
"""
    found = stories(text)
    assert [(s.title, s.start_line, s.end_line) for s in found] == [("购买电影票", 4, 12), ("Refund a ticket", 14, 19)]
    assert found[0].text.startswith("用户故事：购买电影票\n作为 观众")
    assert found[1].text == "As a visitor, I want a refund.\n\n### Acceptance criteria\n1. AC01 it is paid back"


def test_several_under_one_heading() -> None:
    """Stories without headers of their own are told apart by their role lines and named after what they want."""
    text = "## Wishes\n\nAs a buyer, I want to pay, so that I own it.\n\nAs a seller\nI want to be paid.\n"
    assert [s.title for s in stories(text)] == ["Wishes", "to be paid"]


def test_numbered_headers() -> None:
    """Numbered headers of one block each start a story; `Story points` is no header."""
    text = "用户故事1：登录\n作为 用户\n我想 登录\n用户故事2: 退出\n作为 用户\n我想 退出\nStory points: 5\n"
    assert [(s.title, s.start_line, s.end_line) for s in stories(text)] == [("登录", 1, 3), ("退出", 4, 7)]


def test_a_heading_in_a_code_fence_is_text() -> None:
    """A `#` inside a code fence does not end a story."""
    text = "## Export\nAs an admin\nI want a script\n```\n# comment\nrun\n```\nAC 1: it runs\n"
    assert [s.end_line for s in stories(text)] == [8]


@pytest.mark.parametrize("name", ["Feature", "功能"])
def test_a_feature_is_one_story(name: str) -> None:
    """A Gherkin file is one story whatever the number of its scenarios."""
    text = f"# language: zh-CN\n{name}: 搜索\n  Scenario: a\n    Given b\n  Scenario: c\n"
    assert [(s.title, s.start_line, s.end_line) for s in stories(text, feature=True)] == [("搜索", 1, 5)]


def test_documents_without_stories_are_counted() -> None:
    """A document without a story is counted, not passed over."""
    skipped: Counter[str] = Counter()
    assert list(find_stories("# Nothing\n", feature=False, skipped=skipped)) == []
    assert skipped == {"no-story": 1}
