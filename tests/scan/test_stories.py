"""Which stories a text holds, with which criteria."""

from __future__ import annotations

import time

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.scan.stories import TRIGGER, extract_stories
from governance.scan.units import Story

ARTICLE = """用户故事:可以购买电影票
作为一个电影票购买者
我想在应用中购买电影票
以便于我可以在电影院观看电影

AC 1: 电影票购买者可以在应用中购买电影票
假设 电影票购买者已经登录了应用
当 电影票购买者点击购买电影票按钮
于是 电影票购买者可以查看电影院的可用座位,选择座位,支付电影票,查看电影票的详细信息
"""


def counts(text: str) -> list[tuple[int, int]]:
    """The declared and effective criteria of every story of *text*."""
    return [(s.declared, s.effective) for s in extract_stories(text)]


def kinds(story: Story) -> list[list[str]]:
    """The kinds of the steps of every criterion."""
    return [[s.kind for s in c.steps] for c in story.criteria]


def test_the_story_of_the_article():
    """The origin's own story has a role, a goal, a benefit and one whole criterion."""
    (story,) = extract_stories(ARTICLE)
    assert (story.title, story.role) == ("可以购买电影票", "电影票购买者")
    assert (story.goal, story.benefit) == ("在应用中购买电影票", "我可以在电影院观看电影")
    assert (story.language, story.format, story.declared, story.effective) == ("zh", "free", 1, 1)
    assert story.criteria[0].number == 1
    assert ARTICLE[story.start : story.end] == ARTICLE.rstrip()
    assert [ARTICLE[s.start : s.end].split(maxsplit=1)[0] for s in story.criteria[0].steps] == ["假设", "当", "于是"]


def test_header_and_role_on_one_line():
    """A role glued to the title is cut off it."""
    (story,) = extract_stories("用户故事:可以注册账号作为一个社交网站用户\n我想 在 社交网站注册账号\n以便于 我可以使用")
    assert (story.title, story.role, story.goal) == ("可以注册账号", "社交网站用户", "在 社交网站注册账号")


@pytest.mark.parametrize(
    "heading", ["AC 1:", "AC1：", "ac 1:", "AC01", "**AC 1:**", "- AC-1:", "1. AC01", "验收标准 1.", "验收条件1："]
)
def test_headings_of_criteria(heading):
    """Every way to head a criterion gives its number and its title."""
    (story,) = extract_stories(f"用户故事：登录\n{heading} 成功\n    - 假设 有账号\n    - 当 登录\n    - 那么 进入首页")
    assert [(c.number, c.title) for c in story.criteria] == [(1, "成功")]
    assert story.effective == 1


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("假设 a\n当 b\n于是 c", ["given", "when", "then"]),
        ("假如a\n而且b\n当c\n同时d\n那么e\n并且f\n但是g", ["given", "given", "when", "when", "then", "then", "then"]),
        ("给定：a\n当：b\n则：c", ["given", "when", "then"]),
        ("如果 a\n当 b\n则 c", ["given", "when", "then"]),
        ("- Given a\n- And b\n- When c\n- Then d\n- But e", ["given", "given", "when", "then", "then"]),
        ("**Given** a\n**When** b\n**Then** c", ["given", "when", "then"]),
        ("Given: a\nWhen: b\nThen: c", ["given", "when", "then"]),
        ("假设 a，当 b，则 c", ["given", "when", "then"]),
        ("假设\n  a\n当\n  b\n于是\n  c", ["given", "when", "then"]),
        ("当前页面显示列表\n假设 a", ["given"]),
    ],
)
def test_steps(lines, expected):
    """Keywords of both languages begin steps; And and But are of the kind of the step before."""
    (story,) = extract_stories(f"User Story: x\nAC 1: y\n{lines}")
    assert kinds(story) == [expected]
    assert all(step.text for c in story.criteria for step in c.steps)


def test_a_story_on_one_line():
    """As a, I want, so that (and 作为, 我想, 以便于) may share a line."""
    text = "As a pet owner, I want to find pets so that I can choose one.\n\n作为一名用户，我想登录，以便于查看订单"
    assert [(s.role, s.goal, s.benefit, s.language) for s in extract_stories(text)] == [
        ("pet owner", "to find pets", "I can choose one.", "en"),
        ("用户", "登录", "查看订单", "zh"),
    ]


def test_several_stories_are_counted_one_by_one():
    """A sample with several stories has the criteria of each, indented or not; an empty header announces the next."""
    text = "用户故事1：\n\n    用户故事：a\n    作为 一位用户\n    我想 b\n    AC 1:  c\n        假设 d\n        当 e\n        于是 f\n\n2. 用户故事：g\n作为h\n我想i\nAC 1: j\nAC 2: k\n"  # noqa: E501
    assert [s.title for s in extract_stories(text)] == ["a", "g"]
    assert counts(text) == [(1, 1), (2, 0)]


def test_a_list_under_acceptance_criteria():
    """List items under a bare heading are criteria; numbered Given, When, Then are the steps of one."""
    head = "User Story: x\nAs a user\nI want y\n\nAcceptance Criteria:\n"
    assert counts(head + "1. The page opens\n2. The page closes\n") == [(2, 0)]
    assert counts(head + "- [ ] The page opens\n- [ ] The page closes\n- [x] It is quick") == [(3, 0)]
    assert counts(head + "1. Given a\n2. When b\n3. Then c\n4. Given d\n5. When e\n6. Then f") == [(2, 2)]
    assert counts("用户故事：x\nAC：\n1. 假如有效，则显示\n2. 假如无效，则提示") == [(2, 0)]


def test_equal_criteria_are_effective_once():
    """A criterion counts as effective if it is complete and no earlier one has its steps."""
    steps = "假设 a\n当 b\n于是 c\n"
    assert counts(f"用户故事：x\nAC 1: y\n{steps}AC 2: z\n{steps}AC 3: w\n假设 a\n当 b\n") == [(3, 1)]


def test_criteria_without_a_header_are_one_story():
    """A sample that was cut off before ``AC 2`` is still a story."""
    assert counts(
        "\nAC 2: 可以查看价格\n假设 xxx\n当 xxx\n于是 xxx\n###\n\nAC 3: 可以查看司机\n假设 a\n当 b\n于是 c"
    ) == [(2, 2)]
    assert counts("Given a user\nWhen the user logs in\nThen the page opens\n\nGiven b\nWhen c\nThen d") == [(2, 2)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "User Tasks:\n1. Browse and search for animations\n2. Create an account",
        "As a result, the build fails.",
        "作为参考，见下文。",
        "create Agile user story for following topic",
        "她的爱情故事：很长。",
        "def f():\n    # When x is given\n    return given",
        "Scenario planning is hard.",
        "AC 220V, and a when. Then nothing.",
        "我想查询用户，以便于导出报表",
        "When the user logs in\nThen the page opens",
    ],
)
def test_texts_without_a_story(text):
    """Task lists, prose and code hold no story."""
    assert extract_stories(text) == []


FEATURE = """# language: {language}
@shop
{feature}: Tickets
  As a visitor
  I want a ticket
  So that I see the film

  {background}:
    {given}a visitor

  {scenario}: free seat
    {when}the visitor pays
    {then}a ticket is printed

  {outline}: prices
    {when}the visitor is <age>
    {then}the price is <price>

    {examples}:
      | age | price |
      | 6   | 3     |
      | 40  | 9     |
"""


def dialects() -> list[str]:
    from gherkin.dialect import DIALECTS  # type: ignore[import-untyped]

    return sorted(DIALECTS)


@pytest.mark.parametrize("language", dialects())
def test_gherkin_of_every_dialect(language):
    """A feature is one story; scenarios and outlines count once each, and a background's Given belongs to both."""
    from gherkin.dialect import DIALECTS

    d = DIALECTS[language]
    word = {key: next(k for k in d[key] if k != "* ") for key in ("given", "when", "then")}
    text = FEATURE.format(
        language=language,
        feature=d["feature"][0],
        background=d["background"][0],
        scenario=d["scenario"][0],
        outline=d["scenarioOutline"][0],
        examples=d["examples"][0],
        **word,
    )
    (story,) = extract_stories(text)
    assert (story.format, story.declared, story.title, story.role) == ("gherkin", 2, "Tickets", "visitor")
    assert re2.search(TRIGGER, text)
    # In some dialects one keyword is Given, When and Then at once; the parser then names no kind.
    if len(set(word.values())) == 3 and not any(word[a] in d[b] for a in word for b in word if a != b):
        assert kinds(story) == [["given", "when", "then"]] * 2
        for criterion in story.criteria:
            assert all(text[s.start : s.end].endswith(s.text) for s in criterion.steps)


def test_gherkin_inside_markdown_and_broken_gherkin():
    """A fenced feature is read where it stands; one that the parser refuses is read as free form."""
    feature = "Feature: A\n  Scenario: b\n    Given c\n    When d\n    Then e\n"
    text = f"Here:\n\n```gherkin\n{feature}```\n"
    (story,) = extract_stories(text)
    assert (story.format, text[story.criteria[0].start : story.criteria[0].end].split("\n", maxsplit=1)[0]) == (
        "gherkin",
        "Scenario: b",
    )
    (broken,) = extract_stories(feature + "\nand then some prose that no parser takes\n")
    assert (broken.format, broken.declared, broken.effective) == ("free", 1, 1)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["用户故事：", "作为", "我想", "以便于", "AC 1:", "AC：", "假设 ", "当 ", "于是 ", "\n", "\n", "Given ", "When ", "Then ", "And ",  # noqa: E501
             "Feature: ", "Scenario: ", "As a ", "I want ", "so that ", "- ", "1. ", "x", "，", "```gherkin\n", "|", "@", "\u2028", "\ud800"]  # noqa: E501
        ),
        max_size=40,
    )
)  # fmt: skip
def test_any_text_is_fine(parts):
    """No text makes it fail; stories lie in the text one after the other and hold their criteria and steps."""
    text = "".join(parts)
    at = 0
    for story in extract_stories(text):
        assert at <= story.start <= story.end <= len(text)
        at = story.end
        assert story.effective <= story.declared
        for criterion in story.criteria:
            assert story.start <= criterion.start <= criterion.end <= story.end
            if story.format == "free":
                assert all(criterion.start <= s.start <= s.end <= criterion.end for s in criterion.steps)


@pytest.mark.parametrize(
    "piece",
    [
        "用户故事：",
        "作为",
        "AC 1: a\n",
        "假设 a\n",
        "| ",
        "1. ",
        "- Given a\n",
        "x",
        "Feature: a\n",
        "As a x, I want y\n",
    ],
)
def test_time_is_linear_in_the_text(piece):
    """200 kB of one piece takes seconds at most."""
    begin = time.perf_counter()
    extract_stories("用户故事：x\n" + piece * (200_000 // len(piece)))
    assert time.perf_counter() - begin < 20


def test_the_trigger_stands_in_every_text_with_a_story():
    """RE2 compiles the trigger, and it hits every form of story."""
    trigger = re2.compile(TRIGGER)
    for text in (
        ARTICLE,
        "As a user, I want x",
        "ac 1: a\n当 b\n则 c",
        "Scenario: a\nGiven b",
        "GIVEN a\nWHEN b\nTHEN c",
        "给定 a\n当 b\n则 c",
    ):
        assert extract_stories(text) and trigger.search(text)
