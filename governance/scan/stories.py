"""a text -> the user stories in it with their acceptance criteria, Chinese and English, free form or Gherkin.

Free form is read line by line: every line is a header, a role, a goal, a benefit, a criterion's heading, a step, or
nothing. A text with a ``Feature:`` that the official Gherkin parser accepts is read by that parser instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from governance.scan.story_gherkin import FEATURE, gherkin_stories
from governance.scan.story_lines import Line, lines_of, split_role, starts_goal
from governance.scan.units import Criterion, Step, Story

TRIGGER = (
    r"用户故事|使用者故事|故事卡?[ \t]*[#\d:：]|验收|(?i:user stor(?:y|ies)|acceptance criteri|# *language *:)"
    r"|(?im:^[\W\d_]{0,40}(?:as an? |as the |作为|ac ?[-#]? ?\d|ac ?[:：]|scenario|场景|剧本|given|假设|假如|假定|给定"
    r"|(?:story|feature|功能)[ \t]*[#\d:：]))"
)
"""Stands in every text that can hold a story. RE2 and Hyperscan syntax."""

_FILTER = re.compile(TRIGGER)


def extract_stories(text: str) -> list[Story]:
    """
    Return the user stories of *text*, in the order they stand in it; ``[]`` for a text that holds none.

    Offsets count code points. Takes time linear in the text, and any text is fine.

    >>> story, = extract_stories("用户故事：登录\\n作为用户\\n我想登录\\n\\nAC 1: 成功\\n假设 a\\n当 b\\n于是 c")
    >>> story.title, story.role, story.declared, story.effective, story.language
    ('登录', '用户', 1, 1, 'zh')
    """
    if not _FILTER.search(text):
        return []
    if FEATURE.search(text):
        stories = gherkin_stories(text)
        if stories:
            return stories
    reader = _Reader()
    lines = list(lines_of(text))
    for i, line in enumerate(lines):
        reader.take(line, lines, i)
    reader.close()
    return [s for s in (d.story() for d in reader.stories) if s is not None]


@dataclass(slots=True)
class _Criterion:
    title: str
    start: int
    end: int
    number: int | None = None
    steps: list[Step] = field(default_factory=list)
    headed: bool = True
    kinds: set[str] = field(default_factory=set)  # of the steps; a set per step would take quadratic time


@dataclass(slots=True)
class _Draft:
    """A story that is being read; ``headed`` if a header line opened it."""

    start: int
    end: int
    title: str = ""
    headed: bool = False
    role: str = ""
    goal: str = ""
    benefit: str = ""
    criteria: list[_Criterion] = field(default_factory=list)
    tongues: set[str] = field(default_factory=set)
    han: bool = False

    @property
    def empty(self) -> bool:
        return not (self.title or self.role or self.goal or self.criteria)

    def announces(self, other: _Draft) -> bool:
        """True if this is a line like ``1. As a user, I want …`` above the story that says the same at length."""
        same = self.role == other.role and self.goal.rstrip("。.") == other.goal.rstrip("。.")
        return bool(self.role) and same and not self.criteria

    def story(self) -> Story | None:
        """Return the story, or None if what was read is none: prose with a stray keyword."""
        criteria = [c for c in self.criteria if c.headed or {"given", "when", "then"} <= c.kinds]
        if (self.role and self.goal) or (self.headed and not self.empty):
            criteria = self.criteria
        elif not (len(criteria) > 1 or any(c.steps for c in criteria)):
            return None
        if self.tongues == {"zh"} or (not self.tongues and self.han):
            language = "zh"
        else:
            language = "mixed" if len(self.tongues) > 1 else "en"
        return Story(
            self.title,
            self.start,
            self.end,
            language,
            "free",
            tuple(Criterion(c.title, c.start, c.end, c.number, tuple(c.steps)) for c in criteria),
            self.role,
            self.goal,
            self.benefit,
        )


class _Reader:
    """Takes the lines of a text one by one and keeps the story that is open."""

    def __init__(self) -> None:
        self.stories: list[_Draft] = []
        self.open: _Draft | None = None
        self.listing = False  # under `验收标准：`, where list items are criteria
        self.last = ""  # kind of the last step, for And and But

    def close(self) -> None:
        """End the open story."""
        if self.open is not None:
            if self.stories and self.stories[-1].announces(self.open):
                self.stories.pop()
            self.stories.append(self.open)
        self.open, self.listing, self.last = None, False, ""

    def take(self, line: Line, lines: list[Line], at: int) -> None:
        """Read one line; *lines* and *at* let a role look ahead for its goal."""
        kind = line.kind
        if kind == "header":
            self._header(line)
        elif kind == "role":
            self._role(line, lines, at)
        elif kind in ("goal", "benefit"):
            self._part(line, kind)
        elif kind == "section":
            if self.open is None:
                self._start(line)
            self.listing, self.last = True, ""
            self._touch(line)
        elif kind == "criterion":
            self._criterion(line)
        elif kind == "step":
            self._step(line)
        else:
            self._plain(line)

    def _start(self, line: Line, *, headed: bool = False) -> _Draft:
        self.close()
        self.open = _Draft(line.start, line.end, headed=headed)
        return self.open

    def _touch(self, line: Line) -> None:
        if self.open is not None:
            self.open.end = line.end
            self.open.han = self.open.han or line.han
            if line.tongue:
                self.open.tongues.add(line.tongue)

    def _header(self, line: Line) -> None:
        if self.open is None or not self.open.empty or not self.open.headed:
            self._start(line, headed=not line.weak)
        assert self.open is not None
        self.open.title = line.body
        self._touch(line)
        if line.role:
            self.open.role, self.open.goal, self.open.benefit = split_role(line.role)

    def _role(self, line: Line, lines: list[Line], at: int) -> None:
        role, goal, benefit = split_role(line.body)
        ahead = goal or starts_goal(lines, at)
        if self.open is None or self.open.role or self.open.criteria:
            if not ahead:
                return
            self._start(line)
        assert self.open is not None
        self.open.role = role
        self.open.goal = goal or self.open.goal
        self.open.benefit = benefit or self.open.benefit
        self._touch(line)

    def _part(self, line: Line, kind: str) -> None:
        if self.open is None or self.open.criteria:
            return
        if kind == "goal" and not self.open.goal:
            _, self.open.goal, benefit = split_role(line.text)
            self.open.benefit = benefit or self.open.benefit
        elif kind == "benefit" and not self.open.benefit:
            self.open.benefit = line.body
        self._touch(line)

    def _criterion(self, line: Line) -> None:
        if self.open is None:
            self._start(line)
        assert self.open is not None
        self.open.criteria.append(_Criterion(line.body, line.start, line.end, line.number))
        self.listing, self.last = False, ""
        self._touch(line)

    def _step(self, line: Line) -> None:
        if self.open is None:
            if line.steps[0][0] != "given" or line.item:
                return
            self._start(line)
        assert self.open is not None
        criteria = self.open.criteria
        if self.listing and line.number is not None and not self._continues(line):
            criteria.append(_Criterion("", line.start, line.end, line.number))
            self.last = ""
        elif not criteria or (
            not criteria[-1].headed and line.steps[0][0] == "given" and "then" in criteria[-1].kinds
        ):  # steps without a heading: a Given after a Then begins the next criterion
            criteria.append(_Criterion("", line.start, line.end, headed=False))
            self.last = ""
        for kind, body, start, end in line.steps:
            actual = self.last or "given" if kind == "and" else kind
            self.last = actual
            criteria[-1].kinds.add(actual)
            criteria[-1].steps.append(Step(actual, body, start, end))
        criteria[-1].end = line.end
        self._touch(line)

    def _continues(self, line: Line) -> bool:
        """True if a numbered step belongs to the item before: ``1. Given``, ``2. When``, ``3. Then`` are one."""
        criteria = self.open.criteria if self.open else []
        if not criteria or criteria[-1].title:
            return False
        return line.steps[0][0] not in {"given", *criteria[-1].kinds}

    def _plain(self, line: Line) -> None:
        """A line without a keyword: an item of a list of criteria, or the text that a bare heading waits for."""
        if self.open is None or not line.body:
            return
        criteria = self.open.criteria
        if self.listing and line.item:
            criteria.append(_Criterion(line.body, line.start, line.end, line.number))
            self.last = ""
        elif criteria and criteria[-1].steps and not criteria[-1].steps[-1].text:
            last = criteria[-1].steps[-1]
            criteria[-1].steps[-1] = Step(last.kind, line.body, last.start, line.end)
            criteria[-1].end = line.end
        elif criteria and not criteria[-1].steps and not criteria[-1].title and criteria[-1].headed:
            criteria[-1].title, criteria[-1].end = line.body, line.end
        elif self.open.headed and self.open.empty:
            self.open.title = line.body
        else:
            return
        self._touch(line)
