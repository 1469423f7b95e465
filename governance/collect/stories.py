"""Markdown and Gherkin files -> one sample per user story: the topic, and the story with its criteria."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

INSTRUCTION = "create Agile user story for following topic"
STEP = "create_agile_user_story"

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.*?)[ \t#]*$")
_FENCE = re.compile(r"^[ \t]*(```|~~~)")
_HEADER = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+)?(?:[-*][ \t]+)?\**(?:用户故事|user story|story)"
    r"[ \t]*(?:#?\d[\d.]*|[A-Z]{1,8}-\d+)?\**[ \t]*[:：]\**[ \t]*(.*?)[ \t*#]*$",
    re.IGNORECASE,
)
_ROLE = re.compile(r"^[ \t>]*(?:[-*][ \t]+)?\**(?:作为|身为|as[ \t]+an?\b)", re.IGNORECASE)
_WANT = re.compile(r"我(?:想|要|希望|需要|能)|\bI[ \t]+(?:want|would like|need|can)\b|\bI'd like\b", re.IGNORECASE)
_WANT_WITHIN = 6  # lines from the role line
_FEATURE = re.compile(r"^[ \t]*(?:Feature|功能)[ \t]*[:：][ \t]*(.*?)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class StoryText:
    """One story of a document; lines count from 1, both inclusive."""

    title: str
    text: str
    start_line: int
    end_line: int


def find_stories(text: str, *, feature: bool, skipped: Counter[str]) -> Iterator[StoryText]:
    """
    Yield the user stories of a document in its order; one without any is counted as ``no-story`` in *skipped*.

    A story starts at a line ``用户故事：…`` or ``User story: …`` (heading or not), else at the heading above a role
    line (``作为…``, ``As a …``) that a want follows (``我想…``, ``I want …``). It ends before the next story or the
    next heading that is not deeper than its own. The topic is what the header or the heading says. A Gherkin file
    is one story, its topic the name of the feature.
    """
    if feature:
        found = _FEATURE.search(text)
        if found and text.strip():
            yield StoryText(found.group(1), text.strip("\n"), 1, text.rstrip().count("\n") + 1)
            return
    lines = text.split("\n")
    starts = [] if feature else _starts(lines)
    if not starts:
        skipped["no-story"] += 1
    for i, (first, body_start, title, level) in enumerate(starts):
        end = starts[i + 1][0] if i + 1 < len(starts) else len(lines)
        end = next((n for n, deep in _headings(lines) if first < n < end and deep <= level), end)
        while end > body_start and not lines[end - 1].strip():
            end -= 1
        body = [re.sub(r"^#{1,6}[ \t]+", "", lines[body_start]), *lines[body_start + 1 : end]]
        yield StoryText(title, "\n".join(body).strip("\n"), first + 1, end)


def _headings(lines: list[str]) -> list[tuple[int, int]]:
    """(line from 0, level) of every Markdown heading outside code fences."""
    found, fenced = [], False
    for n, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (heading := _HEADING.match(line)):
            found.append((n, len(heading.group(1))))
    return found


def _starts(lines: list[str]) -> list[tuple[int, int, str, int]]:
    """(first line, first line of the story's text, title, level of its heading; 6 without one), lines from 0."""
    headings = dict(_headings(lines))
    starts: list[tuple[int, int, str, int]] = []
    heading = -1  # line of the heading above, while no story has started under it
    headed = False  # the story under way has a header line of its own and no role line yet
    for n, line in enumerate(lines):
        if header := _HEADER.match(line):
            starts.append((n, n, header.group(1), headings.get(n, 6)))
            heading, headed = -1, True
        elif n in headings:
            if not starts or headings[n] <= starts[-1][3] or starts[-1][3] == 6:
                heading, headed = n, False
        elif _ROLE.match(line) and _WANT.search(" ".join(lines[n : n + _WANT_WITHIN])):
            if headed:
                headed = False
            elif heading >= 0:
                title = _HEADING.sub(r"\2", lines[heading])
                starts.append((heading, n, re.sub(r"^[\d.、]+[ \t]*", "", title), headings[heading]))
                heading = -1
            else:
                starts.append((n, n, _goal(line, lines[n + 1 : n + _WANT_WITHIN]), 6))
    return starts


def _goal(role: str, following: list[str]) -> str:
    """A story without heading and header has its want as topic."""
    line = next((text for text in [role, *following] if _WANT.search(text)), role)
    found = _WANT.search(line)
    rest = line[found.end() :] if found else line
    return re.split(r"[，,。.；;]|以便|从而|\bso that\b", rest.removeprefix("要").strip(" *"), maxsplit=1)[0].strip(
        " *"
    )
